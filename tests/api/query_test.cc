#include "api/wire/query.h"

#include "api/wire/media_type.h"
#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

RequestTarget Target(const std::string& query) { return *ParseTarget("/x?" + query); }

std::string Page(const std::string& query) {
  const auto page = QueryPage(Target(query), 100);
  return page ? std::to_string(page->number) + '/' + std::to_string(page->size)
              : std::to_string(page.error().ToResponse().status);
}

}  // namespace

TEST_CASE("Query: numbers are whole and from 0", "[http][query]") {
  CHECK(Value(QueryNumber(Target("n=12"), "n", 5)) == 12);
  CHECK(Value(QueryNumber(Target("m=12"), "n", 5)) == 5);
  for (const char* bad : {"", "-1", "+1", "1x", " 1", "1.0", "0x1", "9223372036854775808"}) {
    INFO(bad);
    CHECK(QueryNumber(Target(std::string("n=") + bad), "n", 5).error().code() == ErrorCode::kInvalidArgument);
  }
}

TEST_CASE("Query: flags are true or false", "[http][query]") {
  CHECK(Value(QueryFlag(Target("f=true"), "f", false)));
  CHECK_FALSE(Value(QueryFlag(Target("f=false"), "f", true)));
  CHECK(Value(QueryFlag(Target(""), "f", true)));
  for (const char* bad : {"", "1", "True", "yes"}) {
    INFO(bad);
    CHECK_FALSE(QueryFlag(Target(std::string("f=") + bad), "f", true));
  }
}

TEST_CASE("Query: pages", "[http][query]") {
  CHECK(Page("") == "1/100");
  CHECK(Page("page=3&page_size=10") == "3/10");
  CHECK(Page("page=0") == "1/100");
  CHECK(Page("page_size=10000") == "1/10000");
  for (const char* bad :
       {"page=-1", "page=x", "page=2147483648", "page_size=0", "page_size=10001", "page_size="}) {
    INFO(bad);
    CHECK(Page(bad) == "400");
  }
  PageView page{2, 10, 0};
  CHECK_FALSE(page.Shows(9));
  CHECK(page.Shows(10));
  CHECK(page.Shows(19));
  CHECK_FALSE(page.Shows(20));
  CHECK(page.pages() == 1);
  page.total_entries = 21;
  CHECK(page.pages() == 3);
}

TEST_CASE("Media types: JSON and forms", "[http][query]") {
  HttpRequest request;
  CHECK(MediaTypeOf(request).empty());
  request.headers["content-type"] = "Multipart/Form-Data ; boundary=x";
  CHECK(MediaTypeOf(request) == "multipart/form-data");
  CHECK(IsForm(request));
  for (const char* json : {"application/json", "text/json", "application/problem+json"}) CHECK(IsJson(json));
  for (const char* other : {"", "json", "application/jsonl", "application/x-json"})
    CHECK_FALSE(IsJson(other));
}

}  // namespace stagefs::test
