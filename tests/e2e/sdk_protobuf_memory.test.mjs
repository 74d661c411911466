import { sdkSuite } from './sdk_suite.mjs';

sdkSuite('memory', 'protobuf');
