// Real servers for tests: started when first asked for, stopped when the test program ends.
#pragma once

#include <string>

namespace stagefs::test {

// A database of this test program's own.
const std::string& PostgresUrl();

// A new one.
std::string NewDatabaseUrl();

// A bucket of this test program's own, with keys for it in the environment; `prefix` as part of the URL.
std::string S3Url(const std::string& prefix);

}  // namespace stagefs::test
