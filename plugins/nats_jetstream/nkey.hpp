// SPDX-License-Identifier: Apache-2.0
//
// NKeys: Ed25519 keys in NATS's base32 text form. cnats signs with a seed but can't tell its public key. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace tide::nats {

// The public key ("U...") of a user's seed ("SU..."). Throws a fatal Error, without the seed in it, for anything else.
std::string public_key_of_user_seed(std::string_view seed);

}  // namespace tide::nats
