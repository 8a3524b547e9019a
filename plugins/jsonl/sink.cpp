// SPDX-License-Identifier: Apache-2.0
#include "sink.hpp"

#include <algorithm>
#include <utility>

#include "../envelope/envelope.hpp"

namespace tide::jsonl {

using std::chrono::milliseconds;
using Clock = std::chrono::steady_clock;

JsonlSink::JsonlSink(Host /*host*/, const Config& config) : settings_(config), position_(config.sink_position()) {
  if (settings_.path.empty()) {
    output_.emplace();
    return;
  }
  file_.emplace(settings_);
  if (file_->reaches(position_)) {
    look_what_is_there();
  } else {
    standing_ = file_->position();
  }
}

void JsonlSink::look_what_is_there() {
  if (settings_.form != Form::envelope) return;  // lines without keys
  file_->read_after(position_, [this](std::string_view line, std::uint64_t end) {
    if (!envelope::is_whole(line)) return;  // torn, even where somebody has ended it since
    const auto key = envelope::quoted_key(line);
    if (key.empty()) return;
    there_.emplace(key, end);
    open_.emplace(end, end - line.size());
  });
}

void JsonlSink::append_line(std::string& out, const tide_message& event) const {
  if (settings_.form == Form::envelope)
    envelope::append(out, event);
  else
    envelope::append_json(out, view(event.payload));
  out += '\n';
}

std::size_t JsonlSink::publish(const Batch& batch) {
  return file_ ? publish_to_file(batch) : publish_to_output(batch);
}

// An event whose line is there already, where that is not told from another event's of the same key: the first of them.
std::optional<std::uint64_t> JsonlSink::find(const tide_message& event) {
  if (there_.empty()) return std::nullopt;
  if (event.maybe_sent == 0) {  // nor will any that follows be in doubt
    for (const auto& [key, end] : there_) open_.erase(end);
    there_.clear();
    return std::nullopt;
  }
  key_.clear();
  envelope::append_quoted(key_, view(event.key));
  const auto found = there_.lower_bound(key_);
  if (found == there_.end() || found->first != key_) return std::nullopt;
  const auto end = found->second;
  there_.erase(found);
  return end;
}

// Not while connecting: a pipeline that is only checked leaves the file as it is.
void JsonlSink::mend() {
  if (!std::exchange(mended_, true)) file_->mend(position_);
}

std::size_t JsonlSink::publish_to_file(const Batch& batch) {
  mend();
  if (file_->old()) file_->rotate();
  lines_.clear();
  std::string line;
  for (const auto& event : batch) {
    if (const auto end = find(event)) {
      written_.push_back({event.token, *end, true});
      continue;
    }
    line.clear();
    append_line(line, event);
    if (file_->full(lines_.size(), line.size())) {
      file_->append(std::exchange(lines_, {}));
      file_->rotate();
    }
    lines_ += line;
    written_.push_back({event.token, file_->position() + lines_.size(), false});
  }
  file_->append(lines_);
  return batch.size();
}

std::size_t JsonlSink::publish_to_output(const Batch& batch) {
  std::size_t taken = 0;
  for (const auto& event : batch) {
    if (output_->full()) break;
    lines_.clear();
    append_line(lines_, event);
    output_->append(lines_);
    written_.push_back({event.token, output_->appended(), false});
    ++taken;
  }
  output_->write(milliseconds(0));
  return taken;
}

void JsonlSink::ack(Results& results, milliseconds timeout) {
  if (standing_) {
    results.standing(*standing_);
    standing_.reset();
  }
  if (output_) output_->write(timeout);
  if (file_) file_->sync();
  while (!written_.empty() && !results.full()) {
    const auto& [token, position, was_there] = written_.front();
    if (output_ && position > output_->written()) break;
    if (was_there) open_.erase(position);
    // Whose line is still looked for must not stand before it: the relay may die as soon as it has committed this.
    const auto reached = open_.empty() ? position : std::min(position, open_.begin()->second);
    results.stored(token, file_ ? reached : 0, was_there);
    written_.pop_front();
  }
  // Somebody may move the file, or it may have grown old: seen when nothing is in doubt.
  if (!file_ || !written_.empty() || Clock::now() < check_at_) return;
  check_at_ = Clock::now() + milliseconds(500);
  file_->check_place();
  if (!file_->old()) return;
  mend();
  file_->rotate();
}

void JsonlSink::close(milliseconds deadline) {
  if (output_) output_->finish_line(deadline);
}

}  // namespace tide::jsonl
