// SPDX-License-Identifier: Apache-2.0
//
// Keeps OpenSSL from being handed half a TLS record: cnats would then block, without any deadline, until the other half
// comes. One thread at a time per socket.
#pragma once

namespace tide::nats {

// False when the unread bytes start with a TLS record that is not whole. Then poll() reports the socket readable only
// once it is (or the peer has closed). Anything else, as on a connection in the clear, is always whole: NATS's protocol
// has no bytes that look like a record. cnats may have turned to TLS by itself, so the settings can't tell which it is.
bool whole_record_arrived(int fd);

}  // namespace tide::nats
