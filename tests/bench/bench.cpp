// Measures the relay on this machine with real servers, most of it against a bare loop in the same run, and prints a
// table. Nothing is asserted: machines are noisy.
#include "bench.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>
#include <exception>
#include <map>

int main(int argc, char** argv) {
  using namespace tide::bench;
  const std::vector<std::pair<std::string, void (*)(Report&, const Effort&)>> parts = {
      {"draining", draining}, {"payloads", payloads},     {"latency", latency},
      {"backlog", backlog},   {"publishing", publishing}, {"pipelines", pipelines}};

  CLI::App app("Measures the relay on this machine, against a bare loop of the same calls.");
  std::vector<std::string> names;
  for (const auto& part : parts) names.push_back(part.first);
  std::vector<std::string> chosen;
  Effort effort;
  std::string json;
  app.add_option("part", chosen, "only these")->check(CLI::IsMember(names));
  app.add_option("--scale", effort.scale, "numbers of events, as a fraction of the whole ones")->capture_default_str();
  app.add_option("--runs", effort.runs, "runs of each kind")->capture_default_str();
  app.add_option("--json", json, "write the table here, too");
  CLI11_PARSE(app, argc, argv);

  std::printf("%s\n\n| what | measured | target | met |\n|---|---|---|---|\n", machine().c_str());
  Report report;
  bool whole = true;
  for (const auto& [name, run] : parts) {
    if (!chosen.empty() && std::find(chosen.begin(), chosen.end(), name) == chosen.end()) continue;
    try {
      run(report, effort);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "%s: %s\n", name.c_str(), e.what());
      whole = false;
    }
  }
  if (!json.empty()) report.write_json(json);
  return whole ? 0 : 1;
}
