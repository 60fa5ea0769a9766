// A real PostgreSQL for tests: started when first asked for, stopped when the test program ends.
#pragma once

#include <string>

namespace stagefs::test {

// The URL of a database of this test program's own.
const std::string& PostgresUrl();

}  // namespace stagefs::test
