#include "api/wire/requests.h"

#include "tests/catch.h"
#include "tests/scene.h"

namespace stagefs::test {
namespace {

const std::string kHash(64, 'a');

template <class T>
std::string Why(const Result<T>& result) {
  return result ? "" : result.error().message();
}

}  // namespace

TEST_CASE("Requests: a new repository and its first files", "[http][requests]") {
  const auto wanted = Value(
      ReadNewRepository(R"({"namespace":"t","name":"r","files":[{"path":"a","contents":"b"}],"unknown":1})"));
  CHECK(wanted.space == "t");
  CHECK(wanted.files == std::vector<std::pair<std::string, std::string>>{{"a", "b"}});
  CHECK(Why(ReadNewRepository("{")) == "Invalid JSON: the body is not JSON");
  CHECK(Why(ReadNewRepository(R"({"name":"r"})")) == "Invalid JSON: missing field `namespace`");
  std::string many = R"({"namespace":"t","name":"r","files":[)";
  for (size_t i = 0; i <= kFirstFilesMax; ++i) many += R"({"path":"a","contents":""},)";
  many.back() = ']';
  CHECK(ReadNewRepository(many + '}').error().code() == ErrorCode::kTooLarge);
}

TEST_CASE("Requests: a branch begins at a commit or a branch", "[http][requests]") {
  const auto both = Value(ReadNewBranch(R"({"new_name":"n","from_name":"main","commit_id":"1"})"));
  CHECK(both.from == "1");
  CHECK(both.from_commit);
  CHECK_FALSE(Value(ReadNewBranch(R"({"new_name":"n","from_name":"main"})")).from_commit);
  CHECK(Why(ReadNewBranch(R"({"new_name":"n"})")) == "send from_name or commit_id");
  CHECK(Why(ReadNewBranch(R"({"new_name":"n","commit_id":1})")) == "from_name and commit_id are strings");
}

TEST_CASE("Requests: who merges, workspaces, moves", "[http][requests]") {
  CHECK(Value(ReadMerger("")).name == "Oxen");
  CHECK(Value(ReadMerger(R"({"name":"Ann"})")).email == "oxen@oxen.ai");
  CHECK_FALSE(ReadMerger("[]"));
  const auto unnamed = Value(ReadNewWorkspace(R"({"branch_name":"main","name":"","workspace_id":null})"));
  CHECK_FALSE(unnamed.name);
  CHECK_FALSE(unnamed.id);
  CHECK(Why(ReadNewCommit(R"({"message":"m","author":"a"})")) == "missing field `email`");
  CHECK(Why(ReadMove(R"({"new_path":""})")) == "new_path cannot be empty");
}

TEST_CASE("Requests: uploads in pieces", "[http][requests]") {
  const std::string begin = R"({"hash":")" + kHash + R"(","size":25)";
  const auto plan = Value(ReadUploadPlan(begin + R"(,"destination":{"workspace_id":"w","path":"a/b"}})", 10));
  CHECK(plan.pieces() == 3);
  CHECK(plan.workspace + ':' + plan.path == "w:a/b");
  CHECK(Value(ReadUploadPlan(begin + "}", 10)).path.empty());
  CHECK_FALSE(ReadUploadPlan(begin + R"(,"destination":{"workspace_id":"w","path":"../b"}})", 10));
  CHECK(Why(ReadUploadPlan(R"({"hash":")" + kHash + "\"}", 10)) == "`size` is a whole number from 0");
  CHECK_FALSE(ReadUploadPlan(R"({"hash":"x","size":1})", 10));

  const std::string file = R"({"hash":")" + kHash + R"(","file_name":"f","dst_dir":"d","num_chunks":2})";
  const auto complete = Value(ReadCompleteFile(R"({"files":[)" + file + R"(],"workspace_id":"w"})"));
  CHECK(complete.path == "d/f");
  CHECK(complete.chunks == 2);
  CHECK(complete.workspace == "w");
  CHECK_FALSE(complete.update_timestamp);
  CHECK(Why(ReadCompleteFile(R"({"files":[]})")) == "Expected a single file in the request");
  CHECK(Why(ReadCompleteFile(R"({"files":[{}]})")) == "Invalid request body");
  CHECK(Why(ReadCompleteFile("x")) == "Invalid request body");
}

}  // namespace stagefs::test
