// SPDX-License-Identifier: Apache-2.0
//
// What to do next, for the failures that users meet. Appended to error texts. Any thread.
#pragma once

#include <string>
#include <string_view>

namespace tide::nats::help {

inline constexpr std::string_view connection =
    "Check that the URL includes the correct port (default 4222), verify network connectivity and firewall rules, "
    "and for a cluster ensure that at least one seed server is accessible.";

inline constexpr std::string_view authorization =
    "Verify that the credentials file exists and is readable, check that the user has publish permission on the target "
    "subject, and for NKey authentication ensure that the seed matches the configured user.";

inline constexpr std::string_view jetstream =
    "Verify that JetStream is enabled on the NATS server (`jetstream: enabled` in its configuration) and for this "
    "account.";

inline constexpr std::string_view client_certificate =
    "If the server verifies its clients, set tls_client_cert and tls_client_key to a certificate that its CA signed "
    "and "
    "that has not expired.";

// How to create the stream that would take what this pipeline publishes. stream may be empty: a name is suggested.
std::string create_stream(std::string_view stream, std::string_view subject_filter);

}  // namespace tide::nats::help
