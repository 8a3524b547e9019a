/* A plugin of a later ABI major: its entry has another name, so that it does not even resolve. */
const void* tide_sink_v2(void);
__attribute__((visibility("default"))) const void* tide_sink_v2(void) {
  return 0;
}
