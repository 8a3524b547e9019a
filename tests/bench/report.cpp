#include "report.hpp"

#include <sys/utsname.h>

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <stdexcept>
#include <thread>

#include "base/value.hpp"
#include "support/process.hpp"
#include "support/servers.hpp"

namespace tide::bench {
namespace {

std::string number(double value) {
  char text[64];
  std::snprintf(text, sizeof text, "%.3g", value);
  return text;
}

std::string first_line(const std::string& text) {
  return text.substr(0, text.find('\n'));
}

}  // namespace

double percentile(std::vector<double> values, double p) {
  if (values.empty()) throw std::runtime_error("nothing was measured");
  const auto at = values.begin() + static_cast<std::ptrdiff_t>(p * static_cast<double>(values.size() - 1));
  std::nth_element(values.begin(), at, values.end());
  return *at;
}

double median(std::vector<double> values) {
  return percentile(std::move(values), 0.5);
}

std::string spread(const std::vector<double>& values, const char* unit) {
  const auto [least, greatest] = std::minmax_element(values.begin(), values.end());
  char text[128];
  std::snprintf(text, sizeof text, "%.4g%s (%.4g to %.4g)", median(values), unit, *least, *greatest);
  return text;
}

void Report::add(Row row) {
  std::printf("| %s | %s | %s | %s |\n", row.what.c_str(), row.measured.c_str(), row.target.c_str(),
              row.target.empty() ? ""
              : row.met          ? "yes"
                                 : "no");
  std::fflush(stdout);
  rows_.push_back(std::move(row));
}

void Report::at_least(const std::string& what, double value, double target, const std::string& measured) {
  add({what, measured, "≥ " + number(target), value, value >= target});
}

void Report::at_most(const std::string& what, double value, double target, const std::string& measured) {
  add({what, measured, "≤ " + number(target), value, value <= target});
}

void Report::note(const std::string& what, const std::string& measured) {
  add({what, measured, {}, 0, true});
}

void Report::write_json(const std::string& file) const {
  std::string json = "{\"machine\": ";
  append_json_string(json, machine());
  json += ", \"rows\": [";
  for (const auto& row : rows_) {
    json += &row == &rows_.front() ? "\n" : ",\n";
    json += "{\"what\": ";
    append_json_string(json, row.what);
    json += ", \"measured\": ";
    append_json_string(json, row.measured);
    json += ", \"target\": ";
    append_json_string(json, row.target);
    json += ", \"value\": " + std::to_string(row.value) + ", \"met\": " + (row.met ? "true" : "false") + "}";
  }
  std::ofstream(file) << json << "\n]}\n";
}

std::string machine() {
  std::string processor = "unknown processor";
  std::ifstream cpuinfo("/proc/cpuinfo");
  for (std::string line; std::getline(cpuinfo, line);) {
    if (line.starts_with("model name")) processor = line.substr(line.find(':') + 2);
  }
  utsname system{};
  ::uname(&system);
  return processor + ", " + std::to_string(std::thread::hardware_concurrency()) + " cores, Linux " + system.release +
         "; " + first_line(test::run({(test::postgres_bin() / "postgres").string(), "--version"}).out) + "; " +
         first_line(test::run({test::nats_server_program().string(), "--version"}).out) + "; " +
         first_line(test::run({test::variable("TIDE_RELAY"), "--version"}).out);
}

}  // namespace tide::bench
