#include <cstdio>
#include <cstdlib>

#include "index/held_reader.h"

#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

int main(int argc, char** argv) {
  stagefs::HeldReader::on_second = [] {
    std::fputs("a thread takes a second reader of an index while it holds one\n", stderr);
    std::abort();
  };
  return Catch::Session().run(argc, argv);
}
