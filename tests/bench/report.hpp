// What a benchmark measured, as a table for people and as JSON. One thread.
#pragma once

#include <string>
#include <vector>

namespace tide::bench {

double median(std::vector<double> values);
double percentile(std::vector<double> values, double p);  // p in 0..1

// "12.3 (11.9-13.0)": the median, and the least and the greatest.
std::string spread(const std::vector<double>& values, const char* unit);

struct Row {
  std::string what;
  std::string measured;
  std::string target;
  double value = 0;  // what is compared with the target
  bool met = false;
};

class Report {
 public:
  // Prints the row at once.
  void at_least(const std::string& what, double value, double target, const std::string& measured);
  void at_most(const std::string& what, double value, double target, const std::string& measured);
  void note(const std::string& what, const std::string& measured);  // has no target

  void write_json(const std::string& file) const;

 private:
  void add(Row row);

  std::vector<Row> rows_;
};

// The machine, and the versions of what was measured.
std::string machine();

}  // namespace tide::bench
