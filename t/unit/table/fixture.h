// A loop, a pool, a scratch directory and short calls for the tests of tables.
#pragma once

#include "lib/base/cat.h"
#include "lib/base/file.h"
#include "lib/event/thread_pool.h"
#include "lib/table/table.h"
#include "t/support/run_task.h"

#include <cstdlib>
#include <filesystem>

namespace posthouse::test {

class Tables {
public:
    Tables() : pool(loop, 2), context(loop, pool)
    {
        char name[] = "/tmp/posthouse-table-XXXXXX";
        directory = ::mkdtemp(name);
    }
    ~Tables() { std::filesystem::remove_all(directory); }
    Tables(const Tables&) = delete;
    Tables& operator=(const Tables&) = delete;

    std::string write(const std::string& name, std::string_view content)
    {
        const std::string path = cat(directory, '/', name);
        if (!replace_file(path, content, 0644))
            throw std::runtime_error("cannot write " + path);
        return path;
    }
    std::unique_ptr<table::Table> open(const std::string& name)
    {
        auto opened = table::open(name, context);
        if (!opened)
            throw std::runtime_error(opened.error().full_text());
        return std::move(*opened);
    }
    // The value, "(none)" or "(error) text".
    std::string ask(table::Table& table, const std::string& key) { return show(run_task(loop, table.lookup(key))); }
    std::string ask(const std::string& name, const std::string& key)
    {
        auto table = open(name);
        return ask(*table, key);
    }
    static std::string show(const table::Value& value)
    {
        if (!value)
            return "(error) " + value.error().full_text();
        return value->value_or("(none)");
    }

    Loop loop;
    ThreadPool pool;
    table::Context context;
    std::string directory;
};

} // namespace posthouse::test
