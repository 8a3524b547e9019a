// SPDX-License-Identifier: Apache-2.0
//
// For a stream that belongs to one pipeline: which last sequence each message must find, so that nothing is stored
// after a message that was not. A message that is not stored as expected breaks the chain; it is mended, once nothing
// is in flight, from the stream's real last sequence.
//
// The chain holds only while nobody else writes: what moves the sequence by n lets our n-th message in flight through,
// though those before it are refused. Another relay that sends the same events moves it to just where that message
// belongs. One thread at a time.
#pragma once

#include <cstdint>

namespace tide::nats {

class SequenceChain {
 public:
  // Mending is given up when it did not help so many times in a row.
  static constexpr int max_foreign = 3;

  explicit SequenceChain(std::uint64_t last_sequence) : expected_(last_sequence) {}

  // What the message that is sent now must find.
  std::uint64_t next() { return expected_++; }

  void stored() {
    if (!broken_) foreign_ = 0;
  }
  // This pipeline's own message took no sequence: a duplicate, one that was rejected, or one that was not taken now.
  void broken_by_own() { broken_ = true; }
  // The stream's last sequence was another one. It is the doing of somebody else where nothing of our own broke the
  // chain before.
  void wrong_sequence() {
    if (!broken_) ++foreign_;
    broken_ = true;
  }

  bool broken() const { return broken_; }
  bool has_other_writer() const { return foreign_ > max_foreign; }
  bool other_writer_suspected() const { return foreign_ > 0; }

  void mend(std::uint64_t last_sequence) {
    expected_ = last_sequence;
    broken_ = false;
  }

 private:
  std::uint64_t expected_;
  bool broken_ = false;
  int foreign_ = 0;
};

}  // namespace tide::nats
