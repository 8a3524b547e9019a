// What the relay is measured against: the least that moves an outbox's rows to JetStream. It reads pages with libpq,
// publishes them pipelined with libnats, and counts the acknowledgements. No templates, no offsets, no care.
//
//   bare_loop POSTGRES-URL TABLE NATS-URL SUBJECT COUNT
//
// With COUNT 0 it follows: it waits for PostgreSQL's notification of each new event, and ends with SIGTERM.
#include <libpq-fe.h>
#include <nats/nats.h>
#include <poll.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>

namespace {

constexpr int kInFlight = 4096;

[[noreturn]] void fail(const char* what, const char* why) {
  std::fprintf(stderr, "bare_loop: %s: %s\n", what, why);
  std::exit(1);
}

void check(natsStatus status, const char* what) {
  if (status != NATS_OK) fail(what, natsStatus_GetText(status));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 6) fail("usage", "POSTGRES-URL TABLE NATS-URL SUBJECT COUNT");
  const std::string table = argv[2];
  const char* subject = argv[4];
  const int count = std::atoi(argv[5]);

  PGconn* postgres = PQconnectdb(argv[1]);
  if (PQstatus(postgres) != CONNECTION_OK) fail("connect", PQerrorMessage(postgres));
  const std::string sql = "SELECT id, dedup_key, payload FROM " + table + " WHERE id > $1 ORDER BY id LIMIT $2";
  PQclear(PQprepare(postgres, "read", sql.c_str(), 2, nullptr));

  natsConnection* nats = nullptr;
  natsSubscription* acks = nullptr;
  natsInbox* inbox = nullptr;
  natsOptions* options = nullptr;
  check(natsOptions_Create(&options), "options");
  check(natsOptions_SetURL(options, argv[3]), "URL");
  // One event at a time would wait for libnats's flusher, which gathers for a millisecond.
  check(natsOptions_SetSendAsap(options, count == 0), "options");
  check(natsConnection_Connect(&nats, options), "connect");
  natsOptions_Destroy(options);
  check(natsInbox_Create(&inbox), "inbox");
  check(natsConnection_SubscribeSync(&acks, nats, inbox), "subscribe");
  check(natsSubscription_SetPendingLimits(acks, -1, -1), "limits");

  int sent = 0;
  int stored = 0;
  const auto collect = [&](int until) {
    while (stored < until) {
      natsMsg* ack = nullptr;
      check(natsSubscription_NextMsg(&ack, acks, 10'000), "acknowledgement");
      if (std::string(natsMsg_GetData(ack)).find("\"seq\"") == std::string::npos) fail("ack", natsMsg_GetData(ack));
      natsMsg_Destroy(ack);
      ++stored;
    }
  };

  std::string last = "0";
  // As large a page as the relay reads: 4 MiB, at most 2000 rows.
  std::string limit = "100";
  if (count == 0) {
    PQclear(PQexec(postgres, "LISTEN tide_wake"));
    PGresult* newest = PQexec(postgres, ("SELECT coalesce(max(id), 0) FROM " + table).c_str());
    last = PQgetvalue(newest, 0, 0);
    PQclear(newest);
    std::puts("following");
    std::fflush(stdout);
  }
  while (count == 0 || sent < count) {
    if (count == 0) {
      pollfd socket{PQsocket(postgres), POLLIN, 0};
      poll(&socket, 1, -1);
      PQconsumeInput(postgres);
      while (PGnotify* wake = PQnotifies(postgres)) PQfreemem(wake);
    }
    const char* parameters[] = {last.c_str(), limit.c_str()};
    PGresult* rows = PQexecPrepared(postgres, "read", 2, parameters, nullptr, nullptr, 0);
    if (PQresultStatus(rows) != PGRES_TUPLES_OK) fail("read", PQerrorMessage(postgres));
    const int n = PQntuples(rows);
    if (n == 0 && count > 0) fail("read", "there are fewer rows than COUNT");
    for (int row = 0; row < n; ++row) {
      collect(sent + 1 - kInFlight);
      natsMsg* message = nullptr;
      check(natsMsg_Create(&message, subject, inbox, PQgetvalue(rows, row, 2), PQgetlength(rows, row, 2)), "message");
      check(natsMsgHeader_Set(message, "Nats-Msg-Id", PQgetvalue(rows, row, 1)), "header");
      check(natsConnection_PublishMsg(nats, message), "publish");
      natsMsg_Destroy(message);
      ++sent;
    }
    if (n > 0) {
      last = PQgetvalue(rows, n - 1, 0);
      limit = std::to_string(std::clamp((4 << 20) / std::max(PQgetlength(rows, n - 1, 2), 1), 1, 2000));
    }
    PQclear(rows);
  }
  collect(sent);

  natsSubscription_Destroy(acks);
  natsInbox_Destroy(inbox);
  natsConnection_Destroy(nats);
  nats_Close();
  PQfinish(postgres);
  return 0;
}
