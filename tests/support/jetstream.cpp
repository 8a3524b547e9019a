#include "jetstream.hpp"

#include <cstdlib>
#include <stdexcept>

#include "process.hpp"

namespace tide::test {
namespace {

using std::chrono::milliseconds;
using std::chrono::nanoseconds;

void check(natsStatus status, const std::string& what, jsErrCode code = static_cast<jsErrCode>(0)) {
  if (status == NATS_OK) return;
  const char* detail = nats_GetLastError(nullptr);
  throw std::runtime_error(what + ": " + natsStatus_GetText(status) + (detail != nullptr ? ": " : "") +
                           (detail != nullptr ? detail : "") +
                           (code != 0 ? " (error " + std::to_string(static_cast<int>(code)) + ")" : ""));
}

template <typename T>
using Handle = std::unique_ptr<T, void (*)(T*)>;

Message to_message(natsMsg* raw) {
  Message message;
  message.subject = natsMsg_GetSubject(raw);
  message.payload.assign(natsMsg_GetData(raw), static_cast<std::size_t>(natsMsg_GetDataLength(raw)));
  const char** keys = nullptr;
  int key_count = 0;
  if (natsMsgHeader_Keys(raw, &keys, &key_count) == NATS_OK) {
    for (int k = 0; k < key_count; ++k) {
      const char** values = nullptr;
      int value_count = 0;
      if (natsMsgHeader_Values(raw, keys[k], &values, &value_count) != NATS_OK) continue;
      for (int v = 0; v < value_count; ++v) message.headers.emplace(keys[k], values[v]);
      std::free(static_cast<void*>(values));
    }
    std::free(static_cast<void*>(keys));
  }
  return message;
}

std::int64_t ns(milliseconds value) {
  return std::chrono::duration_cast<nanoseconds>(value).count();
}

// The lists point into `subjects`, which must outlive the result's use.
struct Config {
  jsStreamConfig config{};
  std::vector<const char*> subjects;

  Config(const std::string& name, const std::vector<std::string>& names, const StreamOptions& options) {
    jsStreamConfig_Init(&config);
    for (const auto& subject : names) subjects.push_back(subject.c_str());
    config.Name = name.c_str();
    config.Subjects = subjects.data();
    config.SubjectsLen = static_cast<int>(subjects.size());
    config.Duplicates = ns(options.duplicate_window);
    config.MaxAge = ns(options.max_age);
    config.Storage = options.storage;
    config.Retention = options.retention;
    config.Discard = options.discard;
    if (options.max_messages > 0) config.MaxMsgs = options.max_messages;
    if (options.max_bytes > 0) config.MaxBytes = options.max_bytes;
    if (options.max_message_size > 0) config.MaxMsgSize = options.max_message_size;
    if (options.replicas > 0) config.Replicas = options.replicas;
    config.NoAck = options.no_ack;
  }
};

}  // namespace

std::string Message::header(const std::string& name) const {
  const auto found = headers.find(name);
  return found == headers.end() ? std::string() : found->second;
}

std::optional<Message> Subscription::next(milliseconds timeout) {
  natsMsg* raw = nullptr;
  const natsStatus status = natsSubscription_NextMsg(&raw, handle_.get(), timeout.count());
  if (status == NATS_TIMEOUT) return std::nullopt;
  check(status, "next message");
  const Handle<natsMsg> owned(raw, natsMsg_Destroy);
  return to_message(raw);
}

JetStream::JetStream(const std::string& url, const ClientOptions& client)
    : connection_(nullptr, natsConnection_Destroy), context_(nullptr, jsCtx_Destroy) {
  natsOptions* raw_options = nullptr;
  check(natsOptions_Create(&raw_options), "options");
  const Handle<natsOptions> options(raw_options, natsOptions_Destroy);
  check(natsOptions_SetURL(raw_options, url.c_str()), "url " + url);
  check(natsOptions_SetMaxReconnect(raw_options, -1), "options");
  check(natsOptions_SetReconnectWait(raw_options, 20), "options");
  if (!client.credentials_file.empty())
    check(natsOptions_SetUserCredentialsFromFiles(raw_options, client.credentials_file.c_str(), nullptr),
          "credentials");
  if (!client.ca_file.empty()) {
    check(natsOptions_SetSecure(raw_options, true), "TLS");
    check(natsOptions_LoadCATrustedCertificates(raw_options, client.ca_file.c_str()), "CA " + client.ca_file);
  }
  natsConnection* connection = nullptr;
  check(natsConnection_Connect(&connection, raw_options), "connect to " + url);
  connection_.reset(connection);
  jsCtx* context = nullptr;
  check(natsConnection_JetStream(&context, connection, nullptr), "JetStream context");
  context_.reset(context);
}

void JetStream::create_stream(const std::string& name, const std::vector<std::string>& subjects,
                              const StreamOptions& options) {
  Config config(name, subjects, options);
  jsErrCode code{};
  check(js_AddStream(nullptr, context_.get(), &config.config, nullptr, &code), "create stream " + name, code);
}

void JetStream::update_stream(const std::string& name, const std::vector<std::string>& subjects,
                              const StreamOptions& options) {
  Config config(name, subjects, options);
  jsErrCode code{};
  check(js_UpdateStream(nullptr, context_.get(), &config.config, nullptr, &code), "update stream " + name, code);
}

void JetStream::delete_stream(const std::string& name) {
  jsErrCode code{};
  check(js_DeleteStream(context_.get(), name.c_str(), nullptr, &code), "delete stream " + name, code);
}

void JetStream::purge(const std::string& name) {
  jsErrCode code{};
  check(js_PurgeStream(context_.get(), name.c_str(), nullptr, &code), "purge stream " + name, code);
}

std::string JetStream::api(const std::string& request, const std::string& json) {
  natsMsg* raw = nullptr;
  check(natsConnection_RequestString(&raw, connection_.get(), ("$JS.API." + request).c_str(), json.c_str(), 5000),
        request);
  const Handle<natsMsg> answer(raw, natsMsg_Destroy);
  std::string text(natsMsg_GetData(raw), static_cast<std::size_t>(natsMsg_GetDataLength(raw)));
  if (text.find("\"error\":") != std::string::npos) throw std::runtime_error(request + ": " + text);
  return text;
}

StreamInfo JetStream::info(const std::string& name) {
  jsStreamInfo* raw = nullptr;
  jsErrCode code{};
  check(js_GetStreamInfo(&raw, context_.get(), name.c_str(), nullptr, &code), "info of stream " + name, code);
  const Handle<jsStreamInfo> info(raw, jsStreamInfo_Destroy);
  return {raw->State.Msgs, raw->State.Bytes, raw->State.FirstSeq, raw->State.LastSeq,
          std::chrono::duration_cast<milliseconds>(nanoseconds(raw->Config->Duplicates))};
}

std::string JetStream::leader(const std::string& name) {
  jsStreamInfo* raw = nullptr;
  if (js_GetStreamInfo(&raw, context_.get(), name.c_str(), nullptr, nullptr) != NATS_OK) return {};
  const Handle<jsStreamInfo> info(raw, jsStreamInfo_Destroy);
  return raw->Cluster == nullptr || raw->Cluster->Leader == nullptr ? "" : raw->Cluster->Leader;
}

bool JetStream::serves(const std::string& server, const std::string& name) {
  jsStreamInfo* raw = nullptr;
  if (js_GetStreamInfo(&raw, context_.get(), name.c_str(), nullptr, nullptr) != NATS_OK) return false;
  const Handle<jsStreamInfo> info(raw, jsStreamInfo_Destroy);
  if (raw->Cluster == nullptr || raw->Cluster->Leader == nullptr) return false;
  for (int i = 0; i < raw->Cluster->ReplicasLen; ++i) {
    const jsPeerInfo& replica = *raw->Cluster->Replicas[i];
    if (replica.Name == server && (!replica.Current || replica.Offline)) return false;
  }
  return true;
}

std::vector<Message> JetStream::messages(const std::string& name) {
  std::vector<Message> result;
  const auto expected = info(name).messages;
  if (expected == 0) return result;
  jsSubOptions options;
  jsSubOptions_Init(&options);
  options.Stream = name.c_str();
  options.Ordered = true;
  natsSubscription* raw = nullptr;
  jsErrCode code{};
  check(js_SubscribeSync(&raw, context_.get(), ">", nullptr, &options, &code), "read stream " + name, code);
  const Handle<natsSubscription> subscription(raw, natsSubscription_Destroy);
  natsSubscription_SetPendingLimits(raw, -1, -1);
  result.reserve(expected);
  for (bool more = true; more;) {
    natsMsg* msg = nullptr;
    check(natsSubscription_NextMsg(&msg, raw, 10000), "read stream " + name);
    const Handle<natsMsg> owned(msg, natsMsg_Destroy);
    jsMsgMetaData* raw_meta = nullptr;
    check(natsMsg_GetMetaData(&raw_meta, msg), "read stream " + name);
    const Handle<jsMsgMetaData> meta(raw_meta, jsMsgMetaData_Destroy);
    result.push_back(to_message(msg));
    result.back().sequence = raw_meta->Sequence.Stream;
    more = raw_meta->NumPending > 0;
  }
  return result;
}

bool JetStream::wait_for_messages(const std::string& name, std::uint64_t count, milliseconds timeout) {
  return eventually(timeout, [&] { return info(name).messages >= count; });
}

std::uint64_t JetStream::publish(const std::string& subject, const std::string& payload, const std::string& id,
                                 milliseconds timeout) {
  jsPubOptions options;
  jsPubOptions_Init(&options);
  options.MaxWait = timeout.count();
  if (!id.empty()) options.MsgId = id.c_str();
  jsPubAck* raw = nullptr;
  jsErrCode code{};
  check(js_Publish(&raw, context_.get(), subject.c_str(), payload.data(), static_cast<int>(payload.size()), &options,
                   &code),
        "publish to " + subject, code);
  const Handle<jsPubAck> ack(raw, jsPubAck_Destroy);
  return raw->Sequence;
}

Subscription JetStream::subscribe(const std::string& subject) {
  natsSubscription* raw = nullptr;
  check(natsConnection_SubscribeSync(&raw, connection_.get(), subject.c_str()), "subscribe to " + subject);
  Subscription subscription(raw);
  natsSubscription_SetPendingLimits(raw, -1, -1);
  check(natsConnection_FlushTimeout(connection_.get(), 10000), "subscribe to " + subject);
  return subscription;
}

}  // namespace tide::test
