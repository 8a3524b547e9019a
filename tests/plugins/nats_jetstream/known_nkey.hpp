// Keys of NATS users for tests: a pair from the NATS documentation, and another seed. Immutable.
#pragma once

#include <string>

namespace tide::test {

inline const std::string nkey_seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
inline const std::string nkey_public = "UDXU4RCSJNZOIQHZNWXHXORDPRTGNJAHAHFRGZNEEJCPQTT2M7NLCNF4";

inline const std::string other_nkey_seed = "SUAAAAICAMCAKBQHBAEQUCYMBUHA6EARCIJRIFIWC4MBSGQ3DQOR4H776Y";

}  // namespace tide::test
