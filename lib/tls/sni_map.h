// SniMap: tables that say which certificate a client is shown that asks for a name (tls_server_sni_maps). Opened once,
// before privileges drop. The values of texthash and inline tables are names of files, which may be replaced at any
// time; those of other tables are the files' contents, as `postmap -F` puts them there.
#pragma once

#include "lib/base/file_set.h"
#include "lib/base/result.h"
#include "lib/event/task.h"
#include "lib/table/table.h"

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace posthouse::tls {

class Chain;
// Owners: the loaded set, and the handshake that shows it.
using Chains = std::shared_ptr<const std::vector<Chain>>;

class SniMap {
public:
    // The chains of the tables that name files. An entry that cannot be used is left out.
    using Loaded = std::vector<std::unordered_map<std::string, Chains>>;

    static Result<std::unique_ptr<SniMap>> open(const std::string& parameter, std::string_view value,
                                                const table::Context& context);
    ~SniMap();

    bool empty() const { return sources_.empty(); }
    bool stale() const; // a table was replaced: a new process should read it
    // All files that the tables name.
    std::vector<std::string> files() const;
    // From a set that has them. One fault for each entry that cannot be used.
    Loaded load(const FileSet& files, std::vector<Error>& faults) const;

    // For a name in lower case: its own entry, then those of ".parent", as far as the top. Null: none. Both must
    // outlive the task.
    Task<Result<Chains>> find(const Loaded& loaded, std::string name) const;

private:
    struct Source;
    explicit SniMap(std::string parameter);
    Task<Result<Chains>> find_key(const Loaded& loaded, const std::string& key, bool whole) const;

    std::string parameter_;
    std::vector<Source> sources_;
};

} // namespace posthouse::tls
