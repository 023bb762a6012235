// What postmap, postalias and newaliases share: reading main.cf, and building, changing, asking and
// listing indexed tables.
#pragma once

#include "lib/base/result.h"
#include "lib/config/config.h"
#include "lib/table/text_file.h"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace posthouse::tools {

// How a record stands in the source file.
using RecordParser = std::function<Result<table::Record>(std::string_view line)>;

class BuildOptions {
public:
    BuildOptions() = default;
    bool fold = true;          // keys to lower case (-f: as they are)
    bool with_null = false;    // -N: keys and values end in a null byte
    bool copy_rights = true;   // mode of the source file (-p: an ordinary file's)
    bool keep_root = false;    // -o: root does not become the source's owner
    bool values_are_files = false; // -F: what is stored is the files' content in base64
    enum class OnDuplicate : unsigned char { Warn, Ignore, Replace } on_duplicate = OnDuplicate::Warn;
};

class TableCommand {
public:
    // For messages: "postmap". Null, with the faults on stderr, when main.cf cannot be used.
    static std::unique_ptr<TableCommand> start(const std::string& program, const std::string& directory);
    ~TableCommand();

    const config::Config& config() const { return *config_; }

    // All return an exit status. `name` is "type:path" or "path".
    int build(const std::string& name, const RecordParser& parse, const BuildOptions& options);
    int add(const std::string& name, const RecordParser& parse, const BuildOptions& options); // from stdin
    int remove(const std::string& name, const std::vector<std::string>& keys, const BuildOptions& options);
    int list(const std::string& name);
    // Prints the first value found for `key`.
    int query(const std::vector<std::string>& names, const std::string& key, bool fold, bool values_are_files);
    // Asks for each of the keys, and prints those found with their key.
    int query_all(const std::vector<std::string>& names, const std::vector<std::string>& keys, bool fold,
                  bool values_are_files);

    static std::vector<std::string> lines_of_stdin();

private:
    TableCommand() = default;
    class Lookup;
    struct Target {
        std::string source;
        std::string file;
    };
    Result<Target> target_of(const std::string& name) const;
    Result<void> store(const std::string& source, std::string_view content, const RecordParser& parse,
                       const BuildOptions& options, const Target& target, bool keep_old);
    int fail(const Error& error) const;

    std::unique_ptr<config::Config> config_;
    std::string program_;
};

// RFC 4648 section 4. Pure.
std::string encode_base64(std::string_view bytes);
Result<std::string> decode_base64(std::string_view text);

} // namespace posthouse::tools
