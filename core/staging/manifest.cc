#include "stagefs/manifest.h"

#include <algorithm>
#include <istream>
#include <nlohmann/json.hpp>
#include <streambuf>

#include "stagefs/byte_source.h"
#include "stagefs/posix_env.h"
#include "stagefs/repo_path.h"

namespace stagefs {
namespace {

constexpr size_t kBufferBytes = 128 << 10;
// Values inside unknown keys may nest; nobody's manifest nests like this.
constexpr int kDepthMax = 32;

Error Malformed(const std::string& why) { return Error(ErrorCode::kInvalidArgument, "manifest: " + why); }

// The source as a std::streambuf, for the JSON parser. Ends early once one value is longer than allowed.
class SourceBuf : public std::streambuf {
 public:
  explicit SourceBuf(ByteSource& source) : source_(source), buffer_(kBufferBytes) {}

  // Something was made of what was read so far.
  void NoteProgress() { mark_ = consumed() + kManifestValueBytesMax; }
  bool too_long() const { return too_long_; }
  const Status& status() const { return status_; }
  uint64_t consumed() const { return before_ + static_cast<uint64_t>(gptr() - eback()); }

 protected:
  int_type underflow() override {
    if (!status_ || consumed() > mark_ + kBufferBytes) {
      too_long_ = status_.has_value();
      return traits_type::eof();
    }
    before_ = consumed();
    const auto got = source_.Read(buffer_.data(), buffer_.size());
    if (!got) status_ = got.error();
    const size_t size = got ? *got : 0;
    setg(buffer_.data(), buffer_.data(), buffer_.data() + size);
    return size == 0 ? traits_type::eof() : traits_type::to_int_type(buffer_[0]);
  }

 private:
  ByteSource& source_;
  std::vector<char> buffer_;
  uint64_t before_ = 0;
  uint64_t mark_ = kManifestValueBytesMax;
  bool too_long_ = false;
  Status status_;
};

using Visit = std::function<Status(const ManifestOptions&, ManifestEntry)>;

// One JSON value: an array of entries, an object with `entries`, or (NDJSON) one entry.
class EntrySax : public nlohmann::json_sax<nlohmann::json> {
 public:
  EntrySax(SourceBuf& in, ManifestOptions options, const Visit* visit)
      : in_(in), options_(options), visit_(visit) {}

  const ManifestOptions& options() const { return options_; }
  const Status& status() const { return status_; }
  bool was_entry() const { return was_entry_; }
  void set_position(std::string position) { position_ = std::move(position); }

  bool null() override { return Scalar("null"); }
  bool boolean(bool value) override {
    in_.NoteProgress();
    if (AtOption()) {
      (key_ == "atomic" ? options_.atomic : options_.update_timestamp) = value;
      return true;
    }
    return Scalar("a boolean");
  }
  bool number_integer(number_integer_t) override { return Scalar("a number"); }
  bool number_unsigned(number_unsigned_t) override { return Scalar("a number"); }
  bool number_float(number_float_t, const string_t&) override { return Scalar("a number"); }
  bool binary(binary_t&) override { return Scalar("binary"); }

  bool string(string_t& value) override {
    in_.NoteProgress();
    if (value.size() > kManifestValueBytesMax) return Fail("a value is longer than 64 KiB");
    if (depth_ == entry_depth_ && entry_depth_ > 0) {
      if (key_ == "hash") {
        entry_.hash = std::move(value);
        has_hash_ = true;
        return true;
      }
      if (key_ == "path") {
        entry_.path = std::move(value);
        has_path_ = true;
        return true;
      }
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
    if (!has_hash_) return Fail("missing field 'hash'");
    if (!has_path_) return Fail("missing field 'path'");
    if (visit_ == nullptr) return true;
    if (auto status = (*visit_)(options_, std::move(entry_)); !status) {
      status_ = status.error();
      return false;
    }
    return true;
  }
  bool start_array(std::size_t) override {
    if (!Deeper()) return false;
    if (depth_ == 1 || (depth_ == 2 && top_is_object_ && key_ == "entries" && !in_array_)) {
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
      status_ = Malformed(position_ + "a value is longer than 64 KiB");
    } else {
      // "[json.exception.parse_error.101] parse error at line 1, column 3: …"
      const std::string what = ex.what();
      const size_t start = what.find("] ");
      status_ = Malformed(position_ + (start == std::string::npos ? what : what.substr(start + 2)));
    }
    return false;
  }

 private:
  bool Deeper() {
    in_.NoteProgress();
    if (++depth_ > kDepthMax) return Fail("values nest more than 32 deep");
    return true;
  }
  bool AtOption() const {
    return depth_ == 1 && top_is_object_ && (key_ == "atomic" || key_ == "update_timestamp");
  }
  bool IsEntryField(int offset = -1) const {
    return entry_depth_ > 0 && depth_ + offset == entry_depth_ && (key_ == "hash" || key_ == "path");
  }
  void StartEntry() {
    entry_ = {};
    has_hash_ = has_path_ = false;
  }
  bool Scalar(const char* what) {
    in_.NoteProgress();
    if (depth_ == 0) return Fail(std::string("expected an array of entries, not ") + what);
    if (in_array_ && depth_ == array_depth_) {
      return Fail(std::string("an entry must be an object with 'hash' and 'path', not ") + what);
    }
    if (AtOption()) return Fail("'" + key_ + "' must be true or false");
    if (depth_ == 1 && top_is_object_ && key_ == "entries") return Fail("'entries' must be an array");
    if (IsEntryField(0)) return Fail("'" + key_ + "' must be a string, not " + what);
    return true;
  }
  bool Fail(const std::string& why) {
    status_ = Malformed(position_ + why + " (near byte " + std::to_string(in_.consumed()) + ")");
    return false;
  }

  SourceBuf& in_;
  ManifestOptions options_;
  const Visit* visit_;
  std::string position_;
  Status status_;
  ManifestEntry entry_;
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
  return Malformed("not text in UTF-8");
}

Result<ManifestOptions> ReadJson(ByteSource& source, const ManifestOptions& known, const Visit* visit) {
  SourceBuf in(source);
  STAGEFS_RETURN_IF_ERROR(SkipByteOrderMark(in));
  std::istream stream(&in);
  ManifestOptions options = known;
  for (int64_t values = 0;; ++values) {
    SkipSpace(in);
    in.NoteProgress();
    const bool end = in.sgetc() == std::char_traits<char>::eof();
    if (!in.status()) return in.status().error();
    if (end && values == 0) return Malformed("it is empty");
    if (end) return options;
    EntrySax sax(in, options, visit);
    if (values > 0) sax.set_position("value " + std::to_string(values + 1) + ": ");
    stream.clear();
    nlohmann::json::sax_parse(stream, &sax, nlohmann::json::input_format_t::json, /*strict=*/false);
    if (!sax.status()) return sax.status().error();
    if (!sax.was_entry()) {
      options = sax.options();
      SkipSpace(in);
      if (in.sgetc() != std::char_traits<char>::eof()) return Malformed("text after the end of the JSON");
      return options;
    }
    // One entry a line: a line without its end may be cut in the middle of the next.
    int c = in.sgetc();
    while (c == ' ' || c == '\t' || c == '\r') c = in.snextc();
    if (c != '\n') {
      return Malformed("value " + std::to_string(values + 1) + " does not end its line" +
                       (c == std::char_traits<char>::eof() ? ": the manifest looks cut short" : ""));
    }
  }
}

// Splits the source at `end` bytes. Lines are bounded.
class LineReader {
 public:
  explicit LineReader(ByteSource& source) : source_(source), buffer_(kBufferBytes) {}

  // False at the end of the source.
  Result<bool> Next(std::string* line, char end) {
    line->clear();
    for (;;) {
      if (begin_ == size_) {
        STAGEFS_ASSIGN_OR_RETURN(size_, source_.Read(buffer_.data(), buffer_.size()));
        begin_ = 0;
        if (size_ == 0) {
          if (line->empty()) return false;
          return Malformed("line " + std::to_string(number_ + 1) +
                           " has no end: the manifest looks cut short");
        }
      }
      const std::string_view rest(buffer_.data() + begin_, size_ - begin_);
      const size_t at = rest.find(end);
      line->append(rest.substr(0, at));
      if (line->size() > kManifestValueBytesMax) {
        return Malformed("line " + std::to_string(number_ + 1) + " is longer than 64 KiB");
      }
      begin_ += at == std::string_view::npos ? rest.size() : at + 1;
      if (at != std::string_view::npos) {
        ++number_;
        return true;
      }
    }
  }
  int64_t number() const { return number_; }

 private:
  ByteSource& source_;
  std::vector<char> buffer_;
  size_t begin_ = 0, size_ = 0;
  int64_t number_ = 0;
};

void DropCr(std::string* line) {
  if (!line->empty() && line->back() == '\r') line->pop_back();
}

// coreutils writes a leading backslash where a name has newlines or backslashes, and escapes those.
std::string UnescapeName(std::string_view name) {
  std::string plain;
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] != '\\' || i + 1 == name.size()) {
      plain += name[i];
      continue;
    }
    switch (name[++i]) {
      case 'n': plain += '\n'; break;
      case 'r': plain += '\r'; break;
      case '\\': plain += '\\'; break;
      default: plain += '\\'; plain += name[i];
    }
  }
  return plain;
}

Result<ManifestEntry> ParseSumLine(std::string_view line, int64_t number) {
  const auto malformed = [&](const std::string& why) {
    return Malformed("line " + std::to_string(number) + " " + why);
  };
  const bool escaped = line.starts_with('\\');
  if (escaped) line.remove_prefix(1);
  ManifestEntry entry;
  if (const size_t open = line.find(" ("), close = line.rfind(") = ");
      open != std::string_view::npos && close != std::string_view::npos && open + 2 <= close &&
      line.find(' ') == open) {
    const std::string_view algorithm = line.substr(0, open);
    if (algorithm == "SHA256") entry.hash = "sha256:";
    else if (algorithm == "XXH128" || algorithm == "XXH3_128") entry.hash = "xxh3:";
    else return malformed("uses " + ToDisplayUtf8(algorithm) + ": only SHA256 and XXH128 name versions");
    entry.hash += line.substr(close + 4);
    entry.path = line.substr(open + 2, close - open - 2);
  } else {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space + 2 > line.size() ||
        (line[space + 1] != ' ' && line[space + 1] != '*')) {
      return malformed("is not 'HASH  PATH'");
    }
    entry.hash = line.substr(0, space);
    entry.path = line.substr(space + 2);
  }
  if (escaped) entry.path = UnescapeName(entry.path);
  return entry;
}

Status ReadSums(RewindableSource& source, const ManifestOptions& options, const Visit& visit) {
  // A file of `sha256sum -z` has NULs where others have newlines; names in others have no NUL.
  char end = '\n';
  {
    char probe[4096];
    STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(probe, sizeof probe));
    if (std::string_view(probe, got).find('\0') != std::string_view::npos) end = '\0';
    STAGEFS_RETURN_IF_ERROR(source.Rewind());
  }
  LineReader lines(source);
  std::string line;
  bool any = false;
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(const bool more, lines.Next(&line, end));
    if (!more) break;
    if (end == '\n') DropCr(&line);
    if (lines.number() == 1 && line.starts_with("\xef\xbb\xbf")) line.erase(0, 3);
    if (line.empty() || (line[0] == '#' && end == '\n')) continue;
    any = true;
    STAGEFS_ASSIGN_OR_RETURN(ManifestEntry entry, ParseSumLine(line, lines.number()));
    STAGEFS_RETURN_IF_ERROR(visit(options, std::move(entry)));
  }
  if (!any) return Malformed("it is empty");
  return {};
}

// RFC 4180: fields in double quotes may hold separators, doubled quotes and line ends. TSV the same with
// tabs.
Result<bool> NextRecord(LineReader& lines, char separator, std::vector<std::string>* fields) {
  fields->clear();
  std::string line;
  STAGEFS_ASSIGN_OR_RETURN(bool more, lines.Next(&line, '\n'));
  if (!more) return false;
  DropCr(&line);
  std::string field;
  bool quoted = false;
  for (size_t i = 0;; ++i) {
    if (i == line.size()) {
      if (!quoted) break;
      std::string next;
      STAGEFS_ASSIGN_OR_RETURN(more, lines.Next(&next, '\n'));
      if (!more) return Malformed("a quote is never closed");
      DropCr(&next);
      line += '\n' + next;
      if (line.size() > kManifestValueBytesMax) return Malformed("a record is longer than 64 KiB");
    }
    const char c = line[i];
    if (quoted) {
      if (c != '"') {
        field += c;
      } else if (i + 1 < line.size() && line[i + 1] == '"') {
        field += line[++i];
      } else {
        quoted = false;
      }
    } else if (c == '"' && field.empty()) {
      quoted = true;
    } else if (c == separator) {
      fields->push_back(std::move(field));
      field.clear();
    } else {
      field += c;
    }
  }
  fields->push_back(std::move(field));
  return true;
}

Status ReadDelimited(ByteSource& source, char separator, const ManifestOptions& options, const Visit& visit) {
  LineReader lines(source);
  std::vector<std::string> fields;
  STAGEFS_ASSIGN_OR_RETURN(bool more, NextRecord(lines, separator, &fields));
  if (!more) return Malformed("it is empty");
  if (fields[0].starts_with("\xef\xbb\xbf")) fields[0].erase(0, 3);
  size_t hash_column = SIZE_MAX, path_column = SIZE_MAX;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (fields[i] == "hash" || fields[i] == "sha256" || fields[i] == "xxh3") hash_column = i;
    if (fields[i] == "path" || fields[i] == "name" || fields[i] == "file") path_column = i;
  }
  if (hash_column == SIZE_MAX || path_column == SIZE_MAX) {
    return Malformed("the first line must name the columns 'hash' and 'path'");
  }
  for (;;) {
    STAGEFS_ASSIGN_OR_RETURN(more, NextRecord(lines, separator, &fields));
    if (!more) return {};
    if (fields.size() == 1 && fields[0].empty()) continue;
    if (fields.size() <= std::max(hash_column, path_column)) {
      return Malformed("line " + std::to_string(lines.number()) + " has too few columns");
    }
    STAGEFS_RETURN_IF_ERROR(visit(options, {std::move(fields[hash_column]), std::move(fields[path_column])}));
  }
}

// JSON begins with a bracket; a checksum line has its hash or algorithm before the first space; what is left
// can only be a header.
Result<ManifestFormat> Sniff(RewindableSource& source) {
  char probe[4096];
  STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(probe, sizeof probe));
  STAGEFS_RETURN_IF_ERROR(source.Rewind());
  std::string_view text(probe, got);
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  const size_t start = text.find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos) return Malformed("it is empty");
  if (text[start] == '[' || text[start] == '{') return ManifestFormat::kJson;
  text = text.substr(0, text.find_first_of(std::string_view("\n\0", 2)));
  if (text.starts_with('#') || text.starts_with('\\') || text.find(" (") != std::string_view::npos) {
    return ManifestFormat::kSum;
  }
  const std::string_view first = text.substr(0, text.find(' '));
  const bool hex = first.size() < text.size() &&
                   first.find_first_not_of("0123456789abcdefABCDEF") == std::string_view::npos;
  if (hex || first.starts_with("sha256:") || first.starts_with("xxh3:")) return ManifestFormat::kSum;
  if (text.find('\t') != std::string_view::npos) return ManifestFormat::kTsv;
  if (text.find(',') != std::string_view::npos) return ManifestFormat::kCsv;
  return Malformed("neither JSON nor checksum lines nor a table with the columns 'hash' and 'path'");
}

}  // namespace

ManifestFormat ManifestFormatOf(std::string_view name) {
  if (name.ends_with(".json")) return ManifestFormat::kJson;
  if (name.ends_with(".ndjson") || name.ends_with(".jsonl")) return ManifestFormat::kNdjson;
  if (name.ends_with(".sum")) return ManifestFormat::kSum;
  if (name.ends_with(".csv")) return ManifestFormat::kCsv;
  if (name.ends_with(".tsv")) return ManifestFormat::kTsv;
  return ManifestFormat::kSniff;
}

Result<ManifestOptions> ReadManifest(RewindableSource& source, ManifestFormat format, const Visit& visit) {
  STAGEFS_RETURN_IF_ERROR(source.Rewind());
  if (format == ManifestFormat::kSniff) {
    STAGEFS_ASSIGN_OR_RETURN(format, Sniff(source));
  }
  ManifestOptions options;
  switch (format) {
    case ManifestFormat::kSniff:
    case ManifestFormat::kJson:
    case ManifestFormat::kNdjson: {
      char first[64];
      STAGEFS_ASSIGN_OR_RETURN(const size_t got, source.Read(first, sizeof first));
      STAGEFS_RETURN_IF_ERROR(source.Rewind());
      const std::string_view head(first, got);
      if (const size_t start = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
          start != std::string_view::npos && head[start] == '{') {
        // Options may come after the entries they are about (some writers sort keys): read them first.
        STAGEFS_ASSIGN_OR_RETURN(options, ReadJson(source, options, nullptr));
        STAGEFS_RETURN_IF_ERROR(source.Rewind());
      }
      return ReadJson(source, options, &visit);
    }
    case ManifestFormat::kSum: STAGEFS_RETURN_IF_ERROR(ReadSums(source, options, visit)); break;
    case ManifestFormat::kCsv: STAGEFS_RETURN_IF_ERROR(ReadDelimited(source, ',', options, visit)); break;
    case ManifestFormat::kTsv: STAGEFS_RETURN_IF_ERROR(ReadDelimited(source, '\t', options, visit)); break;
  }
  return options;
}

}  // namespace stagefs
