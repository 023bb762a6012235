// The text that tables are made from: logical lines, "key value" records, lists with braces, and the
// watch over a file that tells when it was replaced. Pure parsers, except for TableFile.
#pragma once

#include "lib/base/result.h"
#include "lib/base/unique_fd.h"

#include <ctime>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::table {

class LogicalLine {
public:
    LogicalLine(std::string its_text, int its_line) : text(std::move(its_text)), line(its_line) {}
    std::string text; // without white space at its end
    int line;         // where it began
};

// Blank lines and lines that begin with `#` are dropped, also between continuation lines; a line that
// begins with white space continues the one before. Lines end at LF or CRLF.
std::vector<LogicalLine> logical_lines(std::string_view content);

class Record {
public:
    Record(std::string its_key, std::string its_value) : key(std::move(its_key)), value(std::move(its_value)) {}
    std::string key;
    std::string value;
    int line = 0; // where it stands in its file, when it is known
};

// "key whitespace value"; a key with white space stands in double quotes, with \ before " and \.
Result<Record> parse_record(std::string_view line);
// "key = value", white space around the = dropped.
Result<Record> parse_assignment(std::string_view text);

// Parts at any of `separators` outside of { }; empty parts are left out.
std::vector<std::string_view> split_outside_braces(std::string_view text, std::string_view separators);
// "{ text }" without braces and the white space inside of them; anything else as it is.
std::string_view strip_braces(std::string_view text);

// A file that was read or mapped, kept open so that a process in a chroot can tell when it was replaced.
class TableFile {
public:
    TableFile() = default;
    // Opens and reads it.
    static Result<TableFile> read(const std::string& path, size_t limit, std::string& content);
    static Result<TableFile> open(const std::string& path);
    bool changed() const; // unlinked, renamed over, or written to
    int fd() const { return fd_.get(); }

private:
    UniqueFd fd_;
    timespec modified_{};
    long long size_ = 0;
};

} // namespace posthouse::table
