#include "writers.hpp"

#include <libpq-fe.h>

#include <chrono>
#include <memory>
#include <random>
#include <utility>

namespace tide::test {
namespace {

using Connection = std::unique_ptr<PGconn, void (*)(PGconn*)>;

std::string call(int key, int count, const std::string& how) {
  return "SELECT write_events(" + std::to_string(key) + ", " + std::to_string(count) + ", '" + how + "'); ";
}

// One transaction of a mixture.
std::string transaction(std::mt19937& random) {
  const auto pick = [&](int from, int to) { return std::uniform_int_distribution<int>(from, to)(random); };
  const auto key = [&] { return pick(1, Writers::kKeys); };
  const std::string how = pick(0, 1) == 0 ? "publish" : "insert";
  const int kind = pick(1, 1000);
  if (kind <= 5) return call(key(), pick(100, 600), how) + "COMMIT";    // bulk
  if (kind <= 7) return call(key(), pick(100, 600), how) + "ROLLBACK";  // and in vain
  if (kind <= 15) return call(key(), 2, how) + "SELECT pg_sleep(" + std::to_string(pick(1, 8)) + " * 0.1); COMMIT";
  if (kind <= 100) return call(key(), pick(1, 3), how) + "ROLLBACK";
  if (kind <= 105) return call(key(), 1, "unsendable") + "COMMIT";
  if (kind <= 250) {  // several keys, always locked in one order
    std::string text;
    for (int k = pick(1, 6); k <= Writers::kKeys; k += pick(2, 9)) text += call(k, pick(1, 3), how);
    return text + "COMMIT";
  }
  return call(key(), 1, how) + "COMMIT";
}

}  // namespace

std::string Writers::schema(const std::string& unsendable_header) {
  const std::string header = unsendable_header.empty() ? "NULL::jsonb" : "'" + unsendable_header + "'::jsonb";
  return R"(
CREATE TABLE counters (key int PRIMARY KEY, version bigint NOT NULL) WITH (fillfactor = 20);
INSERT INTO counters SELECT k, 0 FROM generate_series(1, 24) k;
CREATE TABLE expected (key int, version bigint, nonce bigint, sendable boolean);
CREATE SEQUENCE nonces;
CREATE FUNCTION write_events(k int, n int, how text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v bigint;
  nonce bigint;
  event jsonb;
BEGIN
  FOR i IN 1..n LOOP
    UPDATE counters SET version = version + 1 WHERE key = k RETURNING version INTO v;
    nonce := (nextval('nonces') << 20) + (random() * 1000000)::bigint;
    event := jsonb_build_object('k', k, 'v', v, 'n', nonce, 'text', repeat('x', (random() * 200)::int));
    INSERT INTO expected VALUES (k, v, nonce, how <> 'unsendable' OR )" +
         header + R"( IS NULL);
    IF how = 'insert' THEN
      INSERT INTO tide.outbox_messages (outbox, payload) VALUES ('orders', event);
    ELSE
      PERFORM tide.outbox_publish('orders', event, k || '-' || nonce, 'insert',
        CASE how WHEN 'unsendable' THEN )" +
         header + R"( END);
    END IF;
  END LOOP;
END
$$;)";
}

Writers::Writers(std::string url, int transactions_per_second) : url_(std::move(url)), rate_(transactions_per_second) {
  for (unsigned i = 0; i < kThreads; ++i) {
    threads_.emplace_back([this, i](const std::stop_token& stop) { write(stop, i); });
  }
}

void Writers::stop() {
  for (auto& thread : threads_) thread.request_stop();
  threads_.clear();
}

void Writers::write(const std::stop_token& stop, unsigned seed) {
  std::mt19937 random(seed + std::random_device{}());
  Connection connection(nullptr, PQfinish);
  const std::chrono::microseconds pause(1'000'000 * kThreads / rate_);
  while (!stop.stop_requested()) {
    if (PQstatus(connection.get()) != CONNECTION_OK) {
      const char* const names[] = {"dbname", "connect_timeout", nullptr};
      const char* const values[] = {url_.c_str(), "2", nullptr};
      connection.reset(PQconnectdbParams(names, values, 1));
      if (PQstatus(connection.get()) != CONNECTION_OK) {
        std::this_thread::sleep_for(std::chrono::milliseconds(50));
        continue;
      }
      PQsetNoticeReceiver(
          connection.get(), [](void*, const PGresult*) {}, nullptr);
    }
    const auto next = std::chrono::steady_clock::now() + pause;
    PGresult* result = PQexec(connection.get(), ("BEGIN; " + transaction(random)).c_str());
    if (PQresultStatus(result) == PGRES_COMMAND_OK) ++transactions_;
    PQclear(result);
    // What failed left a transaction that is to be ended; a lost connection ended it.
    if (PQtransactionStatus(connection.get()) == PQTRANS_INERROR) PQclear(PQexec(connection.get(), "ROLLBACK"));
    std::this_thread::sleep_until(next);
  }
}

}  // namespace tide::test
