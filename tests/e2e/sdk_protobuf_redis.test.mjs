import { sdkSuite } from './sdk_suite.mjs';

sdkSuite('redis', 'protobuf');
