// SPDX-License-Identifier: Apache-2.0
//
// Signatures as the Standard Webhooks specification has them: HMAC-SHA256 over "ID.TIMESTAMP.BODY". Any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tide::webhook {

// The bytes of "whsec_BASE64". Throws a fatal Error that shows no part of it; option names it.
std::string secret_bytes(std::string_view secret, std::string_view option);

// One signature per secret, "v1,BASE64 v1,BASE64": a receiver accepts a message when it knows one of them.
std::string signature(const std::vector<std::string>& secrets, std::string_view id, std::string_view timestamp,
                      std::string_view body);

// An id for several events: the same for the same keys.
std::string id_of(const std::vector<std::string_view>& keys);

}  // namespace tide::webhook
