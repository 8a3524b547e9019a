// What publishing costs the application, against a plain INSERT of the same row.
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <map>
#include <stdexcept>

#include "bench.hpp"
#include "rig.hpp"

namespace tide::bench {
namespace {

constexpr const char* kSeconds = "4";

double transactions_per_second(const Rig& rig, const std::filesystem::path& script) {
  const auto bench = test::run({(test::postgres_bin() / "pgbench").string(), "-n", "-M", "prepared", "-c", "8", "-j",
                                "1", "-T", kSeconds, "-f", script.string(), rig.url()});
  const auto at = bench.out.find("tps = ");
  if (bench.exit_code != 0 || at == std::string::npos) throw std::runtime_error("pgbench failed: " + bench.err);
  return std::atof(bench.out.c_str() + at + 6);
}

}  // namespace

void publishing(Report& report, const Effort& effort) {
  Rig rig;
  rig.create("shop");
  rig.sql().query(
      "CREATE TABLE plain (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, created_at timestamptz NOT NULL DEFAULT "
      "now(), outbox text NOT NULL, op text NOT NULL DEFAULT 'insert', dedup_key text, headers jsonb, payload jsonb "
      "NOT "
      "NULL)");
  const test::TempDir folder("tide-bench");
  const std::string payload = "'{\"type\": \"order.created\", \"pad\": \"" + std::string(200, 'x') + "\"}'";
  const std::map<std::string, std::string> statements = {
      {"plain", "INSERT INTO plain (outbox, payload) VALUES ('shop', " + payload + ");"},
      {"insert", "INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('shop', " + payload + ");"},
      {"publish", "SELECT tide.outbox_publish('shop', " + payload + ");"}};
  for (const auto& [name, sql] : statements) std::ofstream(folder / name) << sql << '\n';

  using Rates = std::map<std::string, std::vector<double>>;
  const auto measure = [&](const std::string& commit, const std::function<void()>& settle) {
    rig.sql().query("ALTER DATABASE postgres SET synchronous_commit = " + commit);
    Rates rates;
    for (int run = 0; run < effort.runs; ++run) {
      for (const auto& [name, sql] : statements) {
        rates[name].push_back(transactions_per_second(rig, folder / name));
        settle();
      }
    }
    return rates;
  };
  auto relay = rig.start_relay();
  for (const std::string commit : {"off", "on"}) {
    auto rates = measure(commit, [&] {  // what was published is delivered before the next is measured
      rig.js().wait_for_messages(
          "SHOP",
          static_cast<std::uint64_t>(rig.sql().query("SELECT count(*) FROM tide.outbox_messages").integer(0, 0)),
          std::chrono::seconds(60));
    });
    const double plain = median(rates["plain"]);
    const auto row = [&](const std::string& what, const std::string& name, double target) {
      const double ratio = median(rates[name]) / plain;
      report.at_least(what + ", 8 clients, synchronous_commit " + commit + ", of a plain INSERT's rate", ratio, target,
                      spread(rates[name], "/s") + "; plain " + spread(rates["plain"], "/s"));
    };
    row("INSERT INTO tide.outbox_messages", "insert", 0.85);
    row("tide.outbox_publish", "publish", commit == "off" ? 0.65 : 0.85);
  }

  // The same with nobody who reads: what the statements alone cost, without the relay's share of the processors.
  relay->terminate(std::chrono::seconds(30));
  for (const std::string commit : {"off", "on"}) {
    auto rates = measure(commit, [] {});
    for (const auto* name : {"insert", "publish"}) {
      char ratio[64];
      std::snprintf(ratio, sizeof ratio, "%.2f; ", median(rates[name]) / median(rates["plain"]));
      report.note(std::string(name) + " without a relay, synchronous_commit " + commit + ", of a plain INSERT's rate",
                  ratio + spread(rates[name], "/s") + "; plain " + spread(rates["plain"], "/s"));
    }
  }
}

}  // namespace tide::bench
