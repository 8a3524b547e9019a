// SPDX-License-Identifier: Apache-2.0
//
// Keeps OpenSSL from being handed half a TLS record: cnats would then block, without any deadline, until the other half
// comes. One thread at a time per socket.
#pragma once

namespace tide::nats {

// Whether the server speaks TLS, by its first bytes after the connection was made: no line of NATS's protocol begins
// like a record. cnats may have turned to TLS by itself, so the settings can't tell.
bool begins_tls_record(int fd);

// Of a connection with TLS: false when the unread bytes start with a record that is not whole. Then poll() reports the
// socket readable only once it is (or the peer has closed).
bool whole_record_arrived(int fd);

}  // namespace tide::nats
