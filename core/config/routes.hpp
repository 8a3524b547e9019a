// Reads the option `routes`: where events go by their content. Any thread.
#pragma once

#include <vector>

#include "config/env.hpp"
#include "config/pipeline_spec.hpp"
#include "sink/options.hpp"
#include "template/renderer.hpp"

namespace tide {

// base: how events are rendered where no route says otherwise. Adds every fault to problems, each with pipeline, rule
// and key.
std::vector<Route> read_routes(const Value& routes, const PipelineSpec& spec, const OptionTable& plugin,
                               const EnvPolicy& env, const Rendering& base, Problems& problems);

// Makes each template option's value of what it can become: the sink's own text, where an event can be left to it, and
// the routes'.
void add_alternatives(const Rendering& rendering, std::string_view outbox, std::vector<OptionValue>& values);

}  // namespace tide
