// SPDX-License-Identifier: Apache-2.0
#include "sink.hpp"

TIDE_EXPORT_SINK(tide::redis::RedisSink)
