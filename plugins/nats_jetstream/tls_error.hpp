// SPDX-License-Identifier: Apache-2.0
//
// Says what is wrong with a TLS connection that was refused, and what to do. Any thread.
#pragma once

#include <string>

namespace tide::nats {

// text is what cnats said. Throws a fatal Error when one of the two certificates or keys is at fault, a retry Error
// when the connection only broke.
[[noreturn]] void throw_tls_error(const std::string& what, const std::string& text, int status);

}  // namespace tide::nats
