// SPDX-License-Identifier: Apache-2.0
#include "tls_record.hpp"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>

namespace tide::nats {
namespace {

// Change cipher spec to application data.
constexpr unsigned char first_type = 20;
constexpr unsigned char last_type = 23;

}  // namespace

bool begins_tls_record(int fd) {
  unsigned char type = 0;
  return ::recv(fd, &type, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && type >= first_type && type <= last_type;
}

bool whole_record_arrived(int fd) {
  // Type (1 byte), version (2), length of what follows (2, big-endian).
  std::array<unsigned char, 5> header{};
  const auto peeked = ::recv(fd, header.data(), header.size(), MSG_PEEK | MSG_DONTWAIT);
  if (peeked <= 0) return true;
  int wanted = static_cast<int>(header.size());
  if (peeked == wanted) wanted += header[3] << 8 | header[4];

  int available = 0;
  ::ioctl(fd, FIONREAD, &available);
  const bool whole = available >= wanted;
  const int low_water = whole ? 1 : wanted;
  ::setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &low_water, sizeof low_water);
  return whole;
}

}  // namespace tide::nats
