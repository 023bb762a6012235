// A message on its way to a host without 8BITMIME.
#include "lib/base/ascii.h"
#include "t/support/catch.h"
#include "t/support/seven_bit.h"

using namespace posthouse;
using namespace posthouse::mail;
using test::converted;

namespace {

std::string encoded(std::string_view line)
{
    QuotedPrintableEncoder encoder;
    std::string out;
    encoder.add(line, out);
    encoder.end_line(out);
    return out;
}

std::string decoded(std::string_view text)
{
    std::string out;
    for (size_t at = 0; at < text.size(); ++at) {
        if (text[at] != '=') {
            out.push_back(text[at]);
        } else if (text.substr(at, 3) != "=\r\n") {
            out.push_back(static_cast<char>(ascii::hex_value(text.at(at + 1)) * 16 + ascii::hex_value(text.at(at + 2))));
            at += 2;
        } else {
            at += 2;
        }
    }
    return out;
}

const std::string text_part = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n";
const std::string encoded_part = "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n";

} // namespace

TEST_CASE("quoted-printable keeps lines short, encodes what must be, and comes back as it was")
{
    CHECK(encoded("plain text.") == "plain text.\r\n");
    CHECK(encoded("caf\xc3\xa9 = \x01") == "caf=C3=A9 =3D =01\r\n");
    CHECK(encoded("blank at the end ") == "blank at the end=20\r\n");
    CHECK(encoded("tabs\t\t") == "tabs\t=09\r\n");
    CHECK(encoded("-- ") == "=2D-=20\r\n");
    CHECK(encoded(std::string(75, 'x')) == std::string(75, 'x') + "\r\n");
    CHECK(encoded(std::string(76, 'x')) == std::string(75, 'x') + "=\r\nx\r\n");
    // A new line that the encoder makes must be no boundary.
    CHECK(encoded(std::string(75, 'x') + "--b") == std::string(75, 'x') + "=\r\n=2D-b\r\n");
    for (const std::string& line : {std::string(500, '\xc3'), std::string(300, ' '), std::string(74, 'x') + "\xc3\xa9",
                                    std::string(74, 'x') + "  ", std::string("a\t ") + std::string(200, '=')}) {
        const std::string text = encoded(line);
        CHECK(decoded(text) == line + "\r\n");
        for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(rest.find("\r\n") + 2))
            CHECK(rest.find("\r\n") <= 76);
    }
}

TEST_CASE("a text that says 8bit becomes quoted-printable, and the header says so")
{
    const std::string other = "Subject: x\r\nMIME-Version: 1.0\r\n";
    CHECK(converted(other + text_part + "\r\ncaf\xc3\xa9\r\n\r\n.end\r\n") ==
          other + encoded_part + "\r\ncaf=C3=A9\r\n\r\n.end\r\n");
    // Wherever the field stands, however it is folded and spelt.
    CHECK(converted("content-transfer-encoding:\r\n (so) 8BIT\r\nSubject: x\r\n\r\n\xe9\r\n") ==
          "Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n=E9\r\n");
    CHECK(converted("Content-Transfer-Encoding: binary\r\n\r\n\xff") ==
          "Content-Transfer-Encoding: quoted-printable\r\n\r\n=FF");
}

TEST_CASE("what says nothing of 8 bits stays as it is")
{
    for (const std::string& content :
         {std::string("Subject: x\r\n\r\ncaf\xe9 = \r\n"), std::string("Subject: caf\xc3\xa9\r\n\r\nplain\r\n"),
          std::string("Content-Transfer-Encoding: 7bit\r\n\r\na=b\r\n"),
          std::string("Content-Transfer-Encoding: base64\r\n\r\nYWJj\r\n"),
          std::string("Content-Transfer-Encoding: quoted-printable\r\n\r\n=C3=A9\r\n"), std::string("Subject: no body\r\n"),
          std::string("\r\n"), std::string("no header at all \xe9\r\n"), std::string()})
        CHECK(converted(content) == content);
}

TEST_CASE("each part of a multipart is converted for itself, and the whole says 7bit")
{
    const std::string content = "Content-Type: multipart/mixed;\r\n boundary=\"out er\"\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
                                "preamble = \r\n--out er\r\n" + text_part + "\r\n\xc3\xa9=\r\n--out er  \r\n"
                                "Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n" + text_part +
                                "\r\none \xc3\xa9\r\n--inner is no boundary of ours\r\n--in--\r\nepilogue =\r\n--out er\r\n"
                                "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--out er--\r\n=\r\n";
    const std::string expected = "Content-Type: multipart/mixed;\r\n boundary=\"out er\"\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
                                 "preamble = \r\n--out er\r\n" + encoded_part + "\r\n=C3=A9=3D\r\n--out er  \r\n"
                                 "Content-Type: multipart/alternative; boundary=in\r\n\r\n--in\r\n" + encoded_part +
                                 "\r\none =C3=A9\r\n--inner is no boundary of ours\r\n--in--\r\nepilogue =\r\n--out er\r\n"
                                 "Content-Type: image/png\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--out er--\r\n=\r\n";
    CHECK(converted(content) == expected);
    for (const size_t piece : {1u, 2u, 7u, 100u})
        CHECK(converted(content, piece) == expected);
    CHECK(converted(expected) == expected);
}

TEST_CASE("a message within a message is converted too, also in a digest that does not name its parts' type")
{
    CHECK(converted("Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: in\r\n" + text_part +
                    "\r\n\xc3\xa9\r\n") ==
          "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 7bit\r\n\r\nSubject: in\r\n" + encoded_part +
              "\r\n=C3=A9\r\n");
    CHECK(converted("Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n" + text_part +
                    "\r\n\xc3\xa9\r\n--b--\r\n") ==
          "Content-Type: multipart/digest; boundary=b\r\n\r\n--b\r\n\r\nSubject: in\r\n" + encoded_part +
              "\r\n=C3=A9\r\n--b--\r\n");
}

TEST_CASE("what is signed is not touched, as a change would break the signature")
{
    const std::string is_signed = "Content-Type: multipart/signed; boundary=s; protocol=\"application/pgp-signature\"\r\n"
                                  "Content-Transfer-Encoding: 8bit\r\n\r\n--s\r\n" + text_part +
                                  "\r\n\xc3\xa9\r\n--s\r\nContent-Type: application/pgp-signature\r\n\r\nsig\r\n--s--\r\n";
    CHECK(converted(is_signed) == is_signed);
    CHECK(converted("Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + is_signed + "--b\r\n" + text_part + "\r\n\xe9\r\n--b--\r\n") ==
          "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n" + is_signed + "--b\r\n" + encoded_part + "\r\n=E9\r\n--b--\r\n");
}

TEST_CASE("composite types that allow no encoding are left alone")
{
    for (const char* type : {"message/partial", "message/delivery-status", "multipart/mixed"}) {
        const std::string content = std::string("Content-Type: ") + type + "\r\nContent-Transfer-Encoding: 8bit\r\n\r\n\xc3\xa9 =\r\n";
        CHECK(converted(content) == content);
    }
}

TEST_CASE("hostile structure is bounded: nesting, boundaries, header fields, lines without end")
{
    SevenBitLimits limits;
    limits.nesting = 3;
    std::string content;
    for (int depth = 0; depth < 10; ++depth) {
        const std::string name = "b" + std::to_string(depth);
        content += "Content-Type: multipart/mixed; boundary=" + name + "\r\n\r\n--" + name + "\r\n";
    }
    content += text_part + "\r\n\xc3\xa9\r\n";
    CHECK(converted(content, std::string::npos, limits) == content);
    CHECK(converted(content) != content);

    const std::string endless = text_part + "\r\n" + std::string(200000, '\xe9') + "\r\n";
    CHECK(decoded(converted(endless, 4096)).ends_with("\r\n\r\n" + std::string(200000, '\xe9') + "\r\n"));
    const std::string field = "X: " + std::string(300000, 'x') + "\r\n" + text_part + "\r\n\xe9\r\n";
    CHECK(converted(field, 4096) == "X: " + std::string(300000, 'x') + "\r\n" + encoded_part + "\r\n=E9\r\n");
}

TEST_CASE("a part without an empty line ends at its boundary, and the one after it is read as usual")
{
    CHECK(converted("Content-Type: multipart/mixed; boundary=b\r\n--b\r\nContent-Transfer-Encoding: 8bit\r\n--b\r\n" + text_part +
                    "\r\n\xe9\r\n--b--\r\n") ==
          "Content-Type: multipart/mixed; boundary=b\r\n--b\r\nContent-Transfer-Encoding: quoted-printable\r\n--b\r\n" +
              encoded_part + "\r\n=E9\r\n--b--\r\n");
}
