// SPDX-License-Identifier: Apache-2.0
//
// Owners of cnats's objects. A connection goes before its subscription: closing it first sends no unsubscription that
// nobody would flush.
#pragma once

#include <nats/nats.h>

#include <memory>

namespace tide::nats {

template <auto Destroy>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Destroy(object);
  }
};

using MessagePtr = std::unique_ptr<natsMsg, Deleter<natsMsg_Destroy>>;
using OptionsPtr = std::unique_ptr<natsOptions, Deleter<natsOptions_Destroy>>;
using SubscriptionPtr = std::unique_ptr<natsSubscription, Deleter<natsSubscription_Destroy>>;
using ConnectionPtr = std::unique_ptr<natsConnection, Deleter<natsConnection_Destroy>>;

}  // namespace tide::nats
