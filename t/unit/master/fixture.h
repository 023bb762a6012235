// A scratch folder for one test, and what is in its files.
#pragma once

#include "t/support/catch.h"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

namespace posthouse::test {

class Folder {
public:
    Folder()
    {
        char name[] = "/tmp/posthouse-master-XXXXXX";
        REQUIRE(mkdtemp(name));
        path = name;
    }
    ~Folder() { std::filesystem::remove_all(path); }
    Folder(const Folder&) = delete;
    Folder& operator=(const Folder&) = delete;

    std::string file(const std::string& name) const { return path + "/" + name; }
    std::string read(const std::string& name) const
    {
        std::ifstream in(file(name));
        return std::string(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
    }
    long lines(const std::string& name) const
    {
        const std::string text = read(name);
        return std::count(text.begin(), text.end(), '\n');
    }
    void script(const std::string& name, const std::string& commands) const
    {
        std::ofstream(file(name)) << "#!/bin/sh\ncd " << path << "\n" << commands << "\n";
        std::filesystem::permissions(file(name), std::filesystem::perms::owner_all);
    }

    std::string path;
};

} // namespace posthouse::test
