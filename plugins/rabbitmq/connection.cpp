// SPDX-License-Identifier: Apache-2.0
#include "connection.hpp"

#include <algorithm>
#include <array>

#include "verdict.hpp"

namespace tide::rabbitmq {
namespace {

constexpr std::uint16_t kChannel = 1;
constexpr std::uint8_t kProtocolHeader = 'A';  // what librabbitmq calls a refusal that names the server's protocol
constexpr std::size_t kFrameMax = 131'072;
constexpr std::size_t kWorthSending = 65'536;

amqp_table_entry_t capability(const char* name) {
  amqp_table_entry_t entry{};
  entry.key = amqp_cstring_bytes(name);
  entry.value.kind = AMQP_FIELD_KIND_BOOLEAN;
  entry.value.value.boolean = 1;
  return entry;
}

amqp_table_entry_t text(const char* name, std::string_view value) {
  amqp_table_entry_t entry{};
  entry.key = amqp_cstring_bytes(name);
  entry.value.kind = AMQP_FIELD_KIND_UTF8;
  entry.value.value.bytes = bytes(value);
  return entry;
}

template <class Method>
const Method& as(const amqp_method_t& method) {
  return *static_cast<const Method*>(method.decoded);
}

}  // namespace

Connection::Connection(const net::ServerUrl& server, const Settings& settings, Clock::time_point until)
    : server_(server.shown), stream_(server, settings.tls, until), heard_(Clock::now()) {
  log_in(settings, until);
  for (const auto& exchange : settings.fixed_exchanges) require_exchange(exchange, settings, until);
  open_channel();
  await({AMQP_CONFIRM_SELECT_OK_METHOD}, "to open a channel", until);
}

// A server notes a client that goes without a word.
Connection::~Connection() {
  try {
    if (over_)
      send(0, AMQP_CONNECTION_CLOSE_OK_METHOD, amqp_connection_close_ok_t{});
    else
      send(0, AMQP_CONNECTION_CLOSE_METHOD, amqp_connection_close_t{AMQP_REPLY_SUCCESS, bytes("done"), 0, 0});
    flush();
  } catch (const Error&) {
    return;  // it is gone already
  }
}

// ---------------------------------------------------------------------------------------------------- greeting

void Connection::log_in(const Settings& settings, Clock::time_point until) {
  using namespace std::string_view_literals;
  stream_.send("AMQP\0\0\x09\x01"sv);
  await({AMQP_CONNECTION_START_METHOD}, "to begin", until);
  const std::string_view mechanism = settings.external ? "EXTERNAL" : "PLAIN";
  if ((" " + mechanisms_ + " ").find(" " + std::string(mechanism) + " ") == std::string::npos)
    throw Error::fatal(server_ + " offers no login by " + std::string(mechanism) + ", but by " + mechanisms_ +
                       ". Set auth accordingly, or turn it on in the server");
  std::array capabilities{capability("publisher_confirms"), capability("basic.nack"), capability("connection.blocked"),
                          capability("authentication_failure_close")};
  amqp_table_entry_t list{};
  list.key = amqp_cstring_bytes("capabilities");
  list.value.kind = AMQP_FIELD_KIND_TABLE;
  list.value.value.table = {static_cast<int>(capabilities.size()), capabilities.data()};
  const std::string name = "tide-relay " + settings.pipeline;
  std::array properties{text("product", "tide-relay"), text("connection_name", name), list};
  std::string response;
  if (!settings.external) ((response += '\0').append(settings.username) += '\0').append(settings.password);
  send(
      0, AMQP_CONNECTION_START_OK_METHOD,
      amqp_connection_start_ok_t{
          {static_cast<int>(properties.size()), properties.data()}, bytes(mechanism), bytes(response), bytes("en_US")});
  await({AMQP_CONNECTION_TUNE_METHOD}, "to log in", until);
  tune(offered_, settings);
  send(0, AMQP_CONNECTION_OPEN_METHOD, amqp_connection_open_t{bytes(settings.vhost), amqp_empty_bytes, 0});
  await({AMQP_CONNECTION_OPEN_OK_METHOD}, "to open the virtual host", until);
}

void Connection::tune(const amqp_connection_tune_t& offered, const Settings& settings) {
  if (offered.frame_max != 0 && offered.frame_max < AMQP_FRAME_MIN_SIZE)
    throw Error::fatal(server_ + " takes frames of " + std::to_string(offered.frame_max) +
                       " bytes, less than AMQP's least. Raise its frame_max");
  frame_max_ = offered.frame_max == 0 ? kFrameMax : std::min<std::size_t>(offered.frame_max, kFrameMax);
  writer_.set_frame_max(frame_max_);
  reader_.set_frame_max(frame_max_);
  const auto ours = settings.heartbeat_seconds;
  const auto agreed =
      ours == 0 || offered.heartbeat == 0 ? std::max(ours, offered.heartbeat) : std::min(ours, offered.heartbeat);
  heartbeat_ = std::chrono::seconds(agreed);
  send(0, AMQP_CONNECTION_TUNE_OK_METHOD,
       amqp_connection_tune_ok_t{kChannel, static_cast<std::uint32_t>(frame_max_), agreed});
}

void Connection::require_exchange(const std::string& exchange, const Settings& settings, Clock::time_point until) {
  send(kChannel, AMQP_CHANNEL_OPEN_METHOD, amqp_channel_open_t{amqp_empty_bytes});
  send(kChannel, AMQP_EXCHANGE_DECLARE_METHOD,
       amqp_exchange_declare_t{0, bytes(exchange), bytes("direct"), 1, 0, 0, 0, 0, amqp_empty_table});
  if (await({AMQP_EXCHANGE_DECLARE_OK_METHOD, AMQP_CHANNEL_CLOSE_METHOD}, "to tell of an exchange", until) ==
      AMQP_CHANNEL_CLOSE_METHOD) {
    const auto why = "exchange " + exchange + " of virtual host " + settings.vhost + " on " + server_ + ": " +
                     explained(closed_.code, closed_.text);
    throw outcome_of_channel(closed_.code) == TIDE_FATAL ? Error::fatal(why, closed_.code)
                                                         : Error::retry(why, closed_.code);
  }
  send(kChannel, AMQP_CHANNEL_CLOSE_METHOD, amqp_channel_close_t{AMQP_REPLY_SUCCESS, bytes("done"), 0, 0});
  await({AMQP_CHANNEL_CLOSE_OK_METHOD}, "to close a channel", until);
}

// Whatever else comes before it is of no interest yet.
amqp_method_number_t Connection::await(std::initializer_list<amqp_method_number_t> methods, const char* what,
                                       Clock::time_point until) {
  amqp_method_number_t found = 0;
  std::vector<Event> events;
  for (;;) {
    flush();
    if (!wait(until) || Clock::now() >= until)
      throw Error::retry(server_ + " did not answer in time, when asked " + what + ". It may hang, or be no RabbitMQ");
    read([&](const amqp_frame_t& frame) {
      if (frame.frame_type == AMQP_FRAME_METHOD) {
        const auto& method = frame.payload.method;
        if (std::find(methods.begin(), methods.end(), method.id) != methods.end()) found = method.id;
        if (method.id == AMQP_CONNECTION_TUNE_METHOD) offered_ = as<amqp_connection_tune_t>(method);
        if (method.id == AMQP_CONNECTION_START_METHOD)
          mechanisms_ = view(as<amqp_connection_start_t>(method).mechanisms);
      }
      take(frame, events);
    });
    if (over_) throw Error(*over_);
    for (const auto& event : events)
      if (const auto* closed = std::get_if<ChannelClosed>(&event)) closed_ = *closed;
    if (found != 0) return found;
    if (!closed_.text.empty()) throw Error::retry(server_ + " refused " + what + ": " + closed_.text, closed_.code);
  }
}

void Connection::open_channel() {
  send(kChannel, AMQP_CHANNEL_OPEN_METHOD, amqp_channel_open_t{amqp_empty_bytes});
  send(kChannel, AMQP_CONFIRM_SELECT_METHOD, amqp_confirm_select_t{0});
}

// ---------------------------------------------------------------------------------------------------- sending

bool Connection::publish(std::string_view exchange, std::string_view routing_key,
                         const amqp_basic_properties_t& properties, std::string_view body) {
  const auto before = out_.size();
  send(kChannel, AMQP_BASIC_PUBLISH_METHOD, amqp_basic_publish_t{0, bytes(exchange), bytes(routing_key), 1, 0});
  if (!writer_.content(out_, kChannel, properties, body)) {
    out_.resize(before);
    return false;
  }
  if (out_.size() >= kWorthSending) flush();
  return true;
}

void Connection::flush() {
  if (!out_.empty()) {
    stream_.send(out_);
    out_.clear();
    sent_ = Clock::now();
  }
  stream_.flush();
}

void Connection::keep_alive() {
  if (heartbeat_.count() == 0) return;
  const auto now = Clock::now();
  if (now >= heard_ + 2 * heartbeat_)
    throw Error::retry(server_ + " gave no sign of life for " + std::to_string(2 * heartbeat_.count()) +
                       " s. It may hang, or the network to it be cut");
  if (now < sent_ + heartbeat_ / 2) return;
  writer_.heartbeat(out_);
  flush();
}

// ---------------------------------------------------------------------------------------------------- hearing

std::vector<Event> Connection::receive() {
  std::vector<Event> events;
  if (!over_) read([&](const amqp_frame_t& frame) { take(frame, events); });
  if (over_ && events.empty()) throw Error(*over_);  // what it said before counts
  flush();
  return events;
}

void Connection::read(const std::function<void(const amqp_frame_t&)>& take) {
  stream_.receive(came_);
  if (came_.empty()) return;
  heard_ = Clock::now();
  try {
    reader_.feed(came_, take);
  } catch (const Error& error) {
    if (error.status() != TIDE_RETRY || error.native_code() != 0) throw;
    throw Error::retry(server_ + ": " + error.what() + ". Check the host and the port of url");
  }
  came_.clear();
}

void Connection::take(const amqp_frame_t& frame, std::vector<Event>& events) {
  switch (frame.frame_type) {
    case kProtocolHeader:
      throw Error::fatal(server_ + " speaks another version of AMQP than 0-9-1", AMQP_NOT_IMPLEMENTED);
    case AMQP_FRAME_METHOD:
      return take_method(frame.payload.method, events);
    case AMQP_FRAME_HEADER:
      if (returning_) take_returned(frame, events);
      return;
    default:  // a heartbeat, or the body of what is returned
      return;
  }
}

void Connection::take_returned(const amqp_frame_t& header, std::vector<Event>& events) {
  const auto* const properties = static_cast<const amqp_basic_properties_t*>(header.payload.properties.decoded);
  if (header.payload.properties.class_id != AMQP_BASIC_CLASS || (properties->_flags & AMQP_BASIC_MESSAGE_ID_FLAG) == 0)
    throw Error::retry(server_ + " returned a message without its id. Does something between change messages?");
  returning_->message_id = view(properties->message_id);
  events.emplace_back(std::move(*returning_));
  returning_.reset();
}

void Connection::take_method(const amqp_method_t& method, std::vector<Event>& events) {
  switch (method.id) {
    case AMQP_BASIC_ACK_METHOD: {
      const auto& ack = as<amqp_basic_ack_t>(method);
      events.emplace_back(Confirmed{ack.delivery_tag, ack.multiple != 0, true});
      return;
    }
    case AMQP_BASIC_NACK_METHOD: {
      const auto& nack = as<amqp_basic_nack_t>(method);
      events.emplace_back(Confirmed{nack.delivery_tag, nack.multiple != 0, false});
      return;
    }
    case AMQP_BASIC_RETURN_METHOD: {
      const auto& back = as<amqp_basic_return_t>(method);
      returning_ = Returned{{},
                            std::string(view(back.exchange)),
                            std::string(view(back.routing_key)),
                            std::string(view(back.reply_text)) + " (" + std::to_string(back.reply_code) + ")"};
      return;
    }
    case AMQP_CHANNEL_CLOSE_METHOD: {
      const auto& close = as<amqp_channel_close_t>(method);
      returning_.reset();
      events.emplace_back(ChannelClosed{close.reply_code, std::string(view(close.reply_text))});
      send(kChannel, AMQP_CHANNEL_CLOSE_OK_METHOD, amqp_channel_close_ok_t{});
      return;
    }
    case AMQP_CONFIRM_SELECT_OK_METHOD:
      events.emplace_back(ChannelOpened{});
      return;
    case AMQP_CONNECTION_BLOCKED_METHOD:
      events.emplace_back(Blocked{std::string(view(as<amqp_connection_blocked_t>(method).reason))});
      return;
    case AMQP_CONNECTION_UNBLOCKED_METHOD:
      events.emplace_back(Unblocked{});
      return;
    case AMQP_CONNECTION_CLOSE_METHOD: {
      const auto& close = as<amqp_connection_close_t>(method);
      const auto said = view(close.reply_text);
      const auto why = server_ + " closed the connection: " + explained(close.reply_code, said);
      over_ = outcome_of_close(close.reply_code, said) == TIDE_FATAL ? Error::fatal(why, close.reply_code)
                                                                     : Error::retry(why, close.reply_code);
      return;
    }
    default:
      return;
  }
}

}  // namespace tide::rabbitmq
