// A CA and what it signed: a server's certificate for localhost, a client's, and what a test adds. One thread.
#pragma once

#include <fstream>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "support/process.hpp"

namespace tide::test {

class Certificates {
 public:
  Certificates() {
    make_ca("ca");
    make("server", "ca", {"-days", "2"});
    make("client", "ca", {"-days", "2"});
  }

  void make_ca(const std::string& name) const {
    openssl({"req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj",
             "/CN=" + name, "-keyout", key(name), "-out", certificate(name)});
  }
  // For localhost, signed by the CA; validity as openssl takes it.
  void make(const std::string& name, const std::string& ca_name, const std::vector<std::string>& validity) const {
    openssl({"req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=localhost",
             "-keyout", key(name), "-out", file(name + ".csr")});
    std::ofstream(file("names.ext")) << "subjectAltName=DNS:localhost\n";
    std::vector<std::string> sign{"x509",
                                  "-req",
                                  "-in",
                                  file(name + ".csr"),
                                  "-CA",
                                  certificate(ca_name),
                                  "-CAkey",
                                  key(ca_name),
                                  "-CAcreateserial",
                                  "-extfile",
                                  file("names.ext"),
                                  "-out",
                                  certificate(name)};
    sign.insert(sign.end(), validity.begin(), validity.end());
    openssl(sign);
  }

  std::string ca() const { return certificate("ca"); }
  std::string certificate(const std::string& name) const { return file(name + ".crt"); }
  std::string key(const std::string& name) const { return file(name + ".key"); }
  // The same behind a passphrase.
  std::string locked_key(const std::string& name) const {
    const auto locked = file(name + ".locked");
    openssl({"pkey", "-in", key(name), "-aes256", "-passout", "pass:x", "-out", locked});
    return locked;
  }

 private:
  std::string file(std::string_view name) const { return (dir_ / name).string(); }
  static void openssl(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), "openssl");
    const auto result = run(arguments);
    if (result.exit_code != 0) throw std::runtime_error("openssl failed: " + result.err);
  }

  TempDir dir_{"tide-test-tls"};
};

}  // namespace tide::test
