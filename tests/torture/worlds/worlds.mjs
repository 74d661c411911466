/* The worlds by name. */
import { Cluster } from './cluster.mjs';
import { Replicas } from './replicas.mjs';
import { Sentinel, SentinelOne } from './sentinel.mjs';
import { Always, Standalone } from './standalone.mjs';

export const WORLDS = { standalone: Standalone, always: Always, replicas: Replicas, sentinel: Sentinel, 'sentinel-1': SentinelOne, cluster: Cluster };
