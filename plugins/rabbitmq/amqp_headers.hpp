// SPDX-License-Identifier: Apache-2.0
//
// librabbitmq's headers, which have other names from 0.12 on.
#pragma once

#if __has_include(<rabbitmq-c/amqp.h>)
#include <rabbitmq-c/amqp.h>
#include <rabbitmq-c/framing.h>
#else
#include <amqp.h>
#include <amqp_framing.h>
#endif
