// The pipelines that were set in the database with tide.relay_set_outbox(). Any session.
#pragma once

#include <vector>

#include "base/postgres.hpp"
#include "config/pipeline_spec.hpp"

namespace tide {

std::vector<PipelineSpec> read_catalog(pg::Session& session);  // disabled ones too

}  // namespace tide
