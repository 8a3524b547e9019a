// The pipelines that were set in the database with tide.relay_set_outbox(). Any session.
#pragma once

#include <string>
#include <vector>

#include "base/postgres.hpp"
#include "config/pipeline_spec.hpp"

namespace tide {

// Disabled ones too. Their sinks may write below data_dir.
std::vector<PipelineSpec> read_catalog(pg::Session& session, const std::string& data_dir);

}  // namespace tide
