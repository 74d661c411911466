/* The worlds by name. */
import { Cluster } from './cluster.mjs';
import { Replicas } from './replicas.mjs';
import { Sentinel } from './sentinel.mjs';
import { Always, Standalone } from './standalone.mjs';

export const WORLDS = { standalone: Standalone, always: Always, replicas: Replicas, sentinel: Sentinel, cluster: Cluster };
