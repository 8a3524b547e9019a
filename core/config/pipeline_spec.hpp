// One pipeline as it was configured, before its sink's options are known. A plain value; any thread.
#pragma once

#include <optional>
#include <string>

#include "base/value.hpp"

namespace tide {

struct PipelineSpec {
  std::string name;
  std::string outbox;
  std::string group;
  Value sink;  // as written: ${env:NAME} is expanded by validate() in sink_config.hpp
  bool enabled = true;
  bool from_file = false;
  std::string file;                        // of the configuration file; empty: from the catalog
  std::string where;                       // "pipeline 'x'"
  std::optional<std::string> write_below;  // the folder that its sink may write to; none: any, it is set in a file
  std::string fault;                       // why `sink` can't be read, for people; else empty
  std::string version;  // tells apart the catalog's configurations of one pipeline; empty: from a file
};

}  // namespace tide
