#include "relay/catalog.hpp"

namespace tide {

std::vector<PipelineSpec> read_catalog(pg::Session& session, const std::string& data_dir) {
  const auto rows = session.query(
      "SELECT p.name, b.name, p.consumer_group, p.config, p.enabled, md5(p.config::text) FROM tide.pipelines p"
      " JOIN tide.outboxes b USING (outbox_id) ORDER BY p.name");
  std::vector<PipelineSpec> specs;
  for (std::size_t row = 0; row < rows.size(); ++row) {
    PipelineSpec spec;
    spec.name = rows.at(row, 0);
    spec.outbox = rows.at(row, 1);
    spec.group = rows.at(row, 2);
    spec.enabled = rows.at(row, 4) == "t";
    spec.where = "pipeline '" + spec.name + "'";
    spec.write_below = data_dir;
    spec.version = rows.at(row, 5);
    try {
      spec.sink = parse_json(rows.at(row, 3));
    } catch (const Error& e) {  // of this pipeline alone
      spec.fault = e.what();
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

}  // namespace tide
