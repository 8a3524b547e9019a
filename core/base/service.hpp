// What the service manager is told: systemd's notification protocol. Does nothing where none asks. Any thread.
#pragma once

#include <string>

namespace tide {

class Service {
 public:
  Service();  // from the environment: NOTIFY_SOCKET, and WATCHDOG_USEC where it wants to be told that all is well

  void ready() const;  // also: done with reloading
  void reloading() const;
  void stopping() const;
  void alive() const;  // something was achieved; without it for too long, the service is started again
  void status(const std::string& text) const;  // one line for people

 private:
  void send(const std::string& message) const;

  std::string address_;  // of a datagram socket, as the kernel has it; empty: nobody asks
  bool watched_ = false;
};

}  // namespace tide
