#include <algorithm>
#include <istream>
#include <nlohmann/json.hpp>
#include <streambuf>

#include "manifest_formats.h"
#include "system/exact_time.h"
#include "system/from_base64.h"

namespace stagefs {
namespace {

// Values inside unknown keys may nest; nobody's manifest nests like this.
constexpr int kDepthMax = 32;
// An entry that is kept as it is written, with its other members.
constexpr size_t kKeptBytesMax = 1 << 20;

// The members of an entry that count.
struct EntryKeys {
  explicit EntryKeys(const ManifestOptions& options)
      : hash(options.hash_column.empty() ? "hash" : options.hash_column),
        path(options.path_column.empty() ? "path" : options.path_column) {}
  std::string hash, path;

  // The path with bytes that JSON cannot say; a path by another name has none.
  bool HasBytesOfPath(const std::string& key) const { return key == "path_base64" && path == "path"; }
};

// The source as a std::streambuf, for the JSON parser. Ends early once one value is longer than allowed.
class SourceBuf : public std::streambuf {
 public:
  explicit SourceBuf(ByteSource& source) : source_(source), buffer_(kManifestBufferBytes) {}

  // Something was made of what was read so far.
  void NoteProgress() { mark_ = consumed() + kManifestValueBytesMax; }
  bool too_long() const { return too_long_; }
  const Status& status() const { return status_; }
  uint64_t consumed() const { return before_ + static_cast<uint64_t>(gptr() - eback()); }
  // Keeps what is read from here on until it is taken.
  void BeginKeeping() {
    keeps_ = true;
    kept_from_ = gptr();
  }
  std::string TakeKept() {
    keeps_ = false;
    kept_.append(kept_from_, gptr());
    return std::exchange(kept_, {});
  }
  // The number, from 1, of the line that what comes next is on.
  int64_t line() {
    line_ += std::count(counted_, gptr(), '\n');
    counted_ = gptr();
    return line_;
  }

 protected:
  int_type underflow() override {
    if (!status_ || consumed() > mark_ + kManifestBufferBytes) {
      too_long_ = status_.has_value();
      return traits_type::eof();
    }
    before_ = consumed();
    line_ += std::count(counted_, gptr(), '\n');
    if (keeps_) kept_.append(kept_from_, gptr());
    if (kept_.size() > kKeptBytesMax) {
      too_long_ = true;
      return traits_type::eof();
    }
    const auto got = source_.Read(buffer_.data(), buffer_.size());
    if (!got) status_ = got.error();
    const size_t size = got ? *got : 0;
    setg(buffer_.data(), buffer_.data(), buffer_.data() + size);
    counted_ = kept_from_ = gptr();
    return size == 0 ? traits_type::eof() : traits_type::to_int_type(buffer_[0]);
  }

 private:
  ByteSource& source_;
  std::vector<char> buffer_;
  uint64_t before_ = 0;
  int64_t line_ = 1;
  char* counted_ = nullptr;  // So far newlines are in line_.
  bool keeps_ = false;
  std::string kept_;
  char* kept_from_ = nullptr;  // What comes from here on is not in kept_ yet.
  uint64_t mark_ = kManifestValueBytesMax;
  bool too_long_ = false;
  Status status_;
};

// What the first value is, as far as its own keys tell.
class ShapeSax : public nlohmann::json_sax<nlohmann::json> {
 public:
  explicit ShapeSax(EntryKeys keys) : keys_(std::move(keys)) {}

  // An object that is an entry itself: then its other keys are columns, whatever they are called.
  bool is_entry() const { return has_hash_ && has_path_; }

  bool null() override { return true; }
  bool boolean(bool) override { return true; }
  bool number_integer(number_integer_t) override { return true; }
  bool number_unsigned(number_unsigned_t) override { return true; }
  bool number_float(number_float_t, const string_t&) override { return true; }
  bool string(string_t&) override { return true; }
  bool binary(binary_t&) override { return true; }
  bool start_object(std::size_t) override { return ++depth_ <= kDepthMax; }
  bool end_object() override { return --depth_ > 0 || true; }
  bool start_array(std::size_t) override { return ++depth_ <= kDepthMax; }
  bool end_array() override { return --depth_ > 0 || true; }
  bool key(string_t& value) override {
    if (depth_ != 1) return true;
    has_hash_ = has_hash_ || value == keys_.hash || value == "target" || value == "target_base64";
    has_path_ = has_path_ || value == keys_.path || keys_.HasBytesOfPath(value);
    return !is_entry();
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) override { return false; }

 private:
  const EntryKeys keys_;
  int depth_ = 0;
  bool has_hash_ = false, has_path_ = false;
};

// One JSON value: an array of entries, an object with `entries`, or (`one_a_line`) one entry.
class EntrySax : public nlohmann::json_sax<nlohmann::json> {
 public:
  EntrySax(SourceBuf& in, ManifestOptions options, bool one_a_line, const VisitEntry* visit)
      : in_(in), options_(std::move(options)), names_(options_), one_a_line_(one_a_line), visit_(visit) {}

  const ManifestOptions& options() const { return options_; }
  const Status& status() const { return status_; }
  bool was_entry() const { return was_entry_; }
  // Where an entry is alone on a line: that one.
  void set_line(int64_t number) { number_ = number; }

  bool null() override { return TraitType() != nullptr || Scalar("null"); }
  bool boolean(bool value) override {
    in_.NoteProgress();
    if (AtTrait("executable")) {
      entry_.executable = value;
      return true;
    }
    if (bool* option = FlagOption()) {
      *option = value;
      return true;
    }
    return Scalar("a boolean");
  }
  bool number_integer(number_integer_t value) override {
    if (!AtTrait("mtime")) return Scalar("a number");
    entry_.mtime_ns = value;
    return true;
  }
  bool number_unsigned(number_unsigned_t value) override {
    if (!AtTrait("mtime")) return Scalar("a number");
    if (value > static_cast<number_unsigned_t>(INT64_MAX)) return Fail("'mtime' is after the year 2262");
    entry_.mtime_ns = static_cast<int64_t>(value);
    return true;
  }
  bool number_float(number_float_t, const string_t&) override {
    return Scalar(AtTrait("mtime") ? "a fraction" : "a number");
  }
  bool binary(binary_t&) override { return Scalar("binary"); }

  bool string(string_t& value) override {
    in_.NoteProgress();
    if (value.size() > kManifestValueBytesMax) return Fail("a value is longer than 64 KiB");
    if (TraitType() != nullptr) return TakeTrait(value);
    if (depth_ == entry_depth_ && entry_depth_ > 0) {
      if (key_ == names_.hash) {
        entry_.hash = std::move(value);
        has_hash_ = true;
        return true;
      }
      if (key_ == names_.path) {
        entry_.path = std::move(value);
        has_path_ = true;
        return true;
      }
      if (!AtOption() && key_ == "target") entry_.target = std::move(value);
      else if (!AtOption() && key_ == "target_base64") target_bytes_ = FromBase64(value);
    }
    if (std::string* option = TextOption()) {
      *option = std::move(value);
      return true;
    }
    return Scalar("a string");
  }

  bool start_object(std::size_t) override {
    if (!Deeper()) return false;
    if (depth_ == 1) {
      top_is_object_ = true;
      entry_depth_ = 1;  // NDJSON, unless `entries` says otherwise.
      StartEntry();
    } else if (in_array_ && depth_ == array_depth_ + 1) {
      entry_depth_ = depth_;
      StartEntry();
    } else if (IsEntryField()) {
      return Fail("'" + key_ + "' must be a string, not an object");
    } else if (TraitType(-1) != nullptr) {
      return FailTrait("an object", -1);
    }
    keys_.push_back(key_);
    return true;
  }
  bool key(string_t& value) override {
    in_.NoteProgress();
    if (value.size() > kManifestValueBytesMax) return Fail("a key is longer than 64 KiB");
    key_ = std::move(value);
    return true;
  }
  bool end_object() override {
    in_.NoteProgress();
    key_ = keys_.back();
    keys_.pop_back();
    const int depth = depth_--;
    if (depth != entry_depth_) return true;
    entry_depth_ = 0;
    if (depth == 1 && saw_entries_) return true;
    if (depth == 1) was_entry_ = true;
    if (visit_ == nullptr) return true;  // What an entry's members are called may be an option that comes later.
    if (target_bytes_) entry_.target = std::move(*target_bytes_);
    if (has_hash_) entry_.target.reset();  // It is what the file is about.
    else if (!entry_.target) return Fail("missing field '" + names_.hash + "'");
    if (path_bytes_) entry_.path = std::move(*path_bytes_);
    else if (!has_path_) return Fail("missing field '" + names_.path + "'");
    entry_.number = number_;
    if (!one_a_line_) ++number_;
    else if (options_.keep_text) entry_.text = in_.TakeKept() + '\n';
    if (auto status = (*visit_)(options_, std::move(entry_)); !status) {
      status_ = status.error();
      return false;
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (!Deeper()) return false;
    if (depth_ == 1 || (!one_a_line_ && depth_ == 2 && top_is_object_ && key_ == "entries" && !in_array_)) {
      in_array_ = true;
      array_depth_ = depth_;
      if (depth_ == 2) {
        saw_entries_ = true;
        entry_depth_ = 0;
      }
    } else if (in_array_ && depth_ == array_depth_ + 1) {
      return Fail("an entry must be an object with 'hash' and 'path', not an array");
    } else if (IsEntryField(-1)) {
      return Fail("'" + key_ + "' must be a string, not an array");
    } else if (TraitType(-1) != nullptr) {
      return FailTrait("an array", -1);
    }
    keys_.push_back(key_);
    return true;
  }
  bool end_array() override {
    key_ = keys_.back();
    keys_.pop_back();
    if (in_array_ && depth_ == array_depth_) {
      in_array_ = false;
      if (depth_ == 2) entry_depth_ = 1;
    }
    --depth_;
    return true;
  }
  bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception& ex) override {
    if (!status_) return false;
    if (!in_.status()) {
      status_ = in_.status().error();
    } else if (in_.too_long()) {
      status_ = MalformedManifest(Position() + "a value is longer than 64 KiB, or the entry than 1 MiB");
    } else {
      // "[json.exception.parse_error.101] parse error at line 1, column 3: …"
      const std::string what = ex.what();
      const size_t start = what.find("] ");
      status_ = MalformedManifest((number_ > 1 ? Position() : "") +
                                  (start == std::string::npos ? what : what.substr(start + 2)));
    }
    return false;
  }

 private:
  bool Deeper() {
    in_.NoteProgress();
    if (++depth_ > kDepthMax) return Fail("values nest more than 32 deep");
    return true;
  }
  bool AtOption(int offset = 0) const { return !one_a_line_ && depth_ + offset == 1 && top_is_object_; }
  bool* FlagOption() {
    if (!AtOption()) return nullptr;
    if (key_ == "atomic") return &options_.atomic;
    if (key_ == "update_timestamp") return &options_.update_timestamp;
    return key_ == "backslash" ? &options_.backslash : nullptr;
  }
  std::string* TextOption() {
    if (!AtOption()) return nullptr;
    if (key_ == "strip_prefix") return &options_.strip_prefix;
    if (key_ == "path_column") return &options_.path_column;
    return key_ == "hash_column" ? &options_.hash_column : nullptr;
  }
  // Of the first reading only the options count.
  bool IsEntryField(int offset = -1) const {
    return visit_ != nullptr && entry_depth_ > 0 && depth_ + offset == entry_depth_ &&
           (key_ == names_.hash || key_ == names_.path);
  }
  void StartEntry() {
    entry_ = {};
    has_hash_ = has_path_ = false;
    path_bytes_.reset();
    target_bytes_.reset();
  }
  // What a member of an entry must be that says more of its file; null for all others.
  const char* TraitType(int offset = 0) const {
    if (visit_ == nullptr || entry_depth_ == 0 || depth_ + offset != entry_depth_) return nullptr;
    if (AtOption(offset) || key_ == names_.hash || key_ == names_.path) return nullptr;
    if (names_.HasBytesOfPath(key_)) return "a string";
    if (key_ == "executable") return "true or false";
    return key_ == "mtime" ? "a time as RFC 3339 has it, or a whole number of nanoseconds" : nullptr;
  }
  bool AtTrait(std::string_view key) const { return key_ == key && TraitType() != nullptr; }
  bool FailTrait(const std::string& what, int offset = 0) {
    return Fail("'" + key_ + "' must be " + TraitType(offset) + ", not " + what);
  }
  bool TakeTrait(const std::string& value) {
    if (names_.HasBytesOfPath(key_)) {
      path_bytes_ = FromBase64(value);
      return path_bytes_ || Fail("'path_base64' is not base64");
    }
    if (key_ == "executable") return FailTrait("a string");
    entry_.mtime_ns = ParseExactTime(value);
    return entry_.mtime_ns || FailTrait("'" + ToDisplayUtf8(value.substr(0, 100)) + "'");
  }
  bool Scalar(const char* what) {
    in_.NoteProgress();
    if (depth_ == 0) return Fail(std::string("expected an array of entries, not ") + what);
    if (in_array_ && depth_ == array_depth_) {
      return Fail(std::string("an entry must be an object with 'hash' and 'path', not ") + what);
    }
    if (FlagOption() != nullptr) return Fail("'" + key_ + "' must be true or false");
    if (TextOption() != nullptr) return Fail("'" + key_ + "' must be a string, not " + what);
    if (!one_a_line_ && depth_ == 1 && top_is_object_ && key_ == "entries") return Fail("'entries' must be an array");
    if (IsEntryField(0)) return Fail("'" + key_ + "' must be a string, not " + what);
    return TraitType() == nullptr || FailTrait(what);
  }
  bool Fail(const std::string& why) {
    status_ = MalformedManifest(Position() + why + " (near byte " + std::to_string(in_.consumed()) + ")");
    return false;
  }
  std::string Position() const {
    if (one_a_line_) return "line " + std::to_string(number_) + ": ";
    return in_array_ && visit_ != nullptr ? "entry " + std::to_string(number_) + ": " : "";
  }

  SourceBuf& in_;
  ManifestOptions options_;
  const EntryKeys names_;
  const bool one_a_line_;  // Of NDJSON: each key of an object is a column.
  const VisitEntry* visit_;
  Status status_;
  ManifestEntry entry_;
  std::optional<std::string> path_bytes_, target_bytes_;
  int64_t number_ = 1;
  std::string key_;
  std::vector<std::string> keys_;
  int depth_ = 0;
  int array_depth_ = 0;
  int entry_depth_ = 0;  // 0: not in an entry.
  bool top_is_object_ = false;
  bool in_array_ = false;
  bool saw_entries_ = false;
  bool was_entry_ = false;
  bool has_hash_ = false;
  bool has_path_ = false;
};

void SkipSpace(SourceBuf& in) {
  for (int c = in.sgetc(); c == ' ' || c == '\t' || c == '\r' || c == '\n'; c = in.snextc()) {
  }
}

Status SkipByteOrderMark(SourceBuf& in) {
  if (in.sgetc() != 0xef) return {};
  if (in.snextc() == 0xbb && in.snextc() == 0xbf) {
    in.sbumpc();
    return {};
  }
  return MalformedManifest("not text in UTF-8");
}

// `visit` is null where only the options are wanted.
Result<ManifestOptions> ReadValues(ByteSource& source, const ManifestOptions& known, bool one_a_line,
                                   const VisitEntry* visit) {
  SourceBuf in(source);
  STAGEFS_RETURN_IF_ERROR(SkipByteOrderMark(in));
  std::istream stream(&in);
  ManifestOptions options = known;
  for (int64_t values = 0;; ++values) {
    SkipSpace(in);
    in.NoteProgress();
    const bool end = in.sgetc() == std::char_traits<char>::eof();
    if (!in.status()) return in.status().error();
    if (end && values == 0) return MalformedManifest("it is empty");
    if (end) return options;
    EntrySax sax(in, options, one_a_line, visit);
    if (one_a_line) sax.set_line(in.line());
    if (one_a_line && visit != nullptr && options.keep_text) in.BeginKeeping();
    stream.clear();
    nlohmann::json::sax_parse(stream, &sax, nlohmann::json::input_format_t::json, /*strict=*/false);
    if (!sax.status()) return sax.status().error();
    if (!sax.was_entry()) {
      options = sax.options();
      SkipSpace(in);
      if (in.sgetc() != std::char_traits<char>::eof()) return MalformedManifest("text after the end of the JSON");
      return options;
    }
    // One entry a line. The closed brace says that the last one is whole.
    int c = in.sgetc();
    while (c == ' ' || c == '\t' || c == '\r') c = in.snextc();
    if (c != '\n' && c != std::char_traits<char>::eof()) {
      return MalformedManifest("line " + std::to_string(in.line()) + ": text behind the value");
    }
  }
}

// Whether the first value is an object that is an entry itself.
Result<bool> IsOneALine(RewindableSource& source, const ManifestOptions& options) {
  bool is_entry = false;
  {
    SourceBuf in(source);
    STAGEFS_RETURN_IF_ERROR(SkipByteOrderMark(in));
    SkipSpace(in);
    if (in.sgetc() == '{') {
      std::istream stream(&in);
      ShapeSax shape{EntryKeys(options)};
      in.NoteProgress();
      nlohmann::json::sax_parse(stream, &shape, nlohmann::json::input_format_t::json, /*strict=*/false);
      is_entry = shape.is_entry();
    }
  }
  STAGEFS_RETURN_IF_ERROR(source.Rewind());
  return is_entry;
}

}  // namespace

Result<ManifestOptions> ReadJsonManifest(RewindableSource& source, const ManifestOptions& known,
                                         ManifestFormat format, const VisitEntry& visit) {
  bool one_a_line = format == ManifestFormat::kNdjson;
  if (!one_a_line) {
    STAGEFS_ASSIGN_OR_RETURN(one_a_line, IsOneALine(source, known));
  }
  ManifestOptions options = known;
  options.counts_entries = !one_a_line;
  if (!one_a_line) {
    // Options may come after the entries they are about (some writers sort keys): read them first.
    char first[64];
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(first, sizeof first));
    STAGEFS_RETURN_IF_ERROR(source.Rewind());
    const std::string_view head(first, got);
    const size_t start = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
    if (start != std::string_view::npos && head[start] == '{') {
      STAGEFS_ASSIGN_OR_RETURN(options, ReadValues(source, options, one_a_line, nullptr));
      STAGEFS_RETURN_IF_ERROR(source.Rewind());
    }
  }
  return ReadValues(source, options, one_a_line, &visit);
}

}  // namespace stagefs
