"""What a spreadsheet (XLSX) may be made of before anything is made of it: its parts, and their XML. Pure."""

import zlib
from collections import defaultdict
from typing import Any, BinaryIO
from xml.etree.ElementTree import ParseError
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile, ZipInfo

from openpyxl.packaging.manifest import Manifest
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.xml.constants import (
    ARC_CONTENT_TYPES,
    ARC_STYLE,
    ARC_WORKBOOK,
    SHARED_STRINGS,
    WORKSHEET_TYPE,
)
from openpyxl.xml.functions import fromstring

from exchange.errors import SheetTooLarge, SheetUnreadable

MAX_PARTS = 2_000
MAX_NEAR_ELEMENTS = 3_000_000
MAX_FAR_ELEMENTS = 100_000
MAX_OTHER_ELEMENTS = 65_536
NEAR = 3
"""The tree of a sheet's XML holds its rows (depth 3) until its end, and what lies deeper for one row."""
PIECE = 64 * 1024
BROKEN = (
    ArithmeticError,
    AttributeError,
    BadZipFile,
    EOFError,
    InvalidFileException,
    LookupError,
    NotImplementedError,
    OSError,
    ParseError,
    RecursionError,
    TypeError,
    ValueError,
    expat.ExpatError,
    zlib.error,
)
"""What openpyxl and those below it raise for files that are none; NotImplementedError is zipfile's word for a
compression that it does not know."""

MANY_ELEMENTS = {WORKSHEET_TYPE, SHARED_STRINGS}
"""The types of the parts that grow with the records."""
NEVER_MANY = {ARC_CONTENT_TYPES, ARC_STYLE, ARC_WORKBOOK}
"""Parts that openpyxl finds by name, whatever type they are said to be of."""


def check_parts(file: BinaryIO, *, limit: int) -> None:
    """Refuse a file that would take much more memory than it has bytes, before anything is made of it.

    Each of its parts is read to no more than the size that the file says it has, which zipfile sees to.
    Whatever their names, all that are XML are held to the limits: what is none, a picture, is so for openpyxl
    too from the same byte on. Raises SheetTooLarge, SheetUnreadable.
    """
    try:
        with ZipFile(file) as archive:
            parts = archive.infolist()
            if len(parts) > MAX_PARTS:
                raise SheetTooLarge(limit=MAX_PARTS, unit_zh="个部件", unit_en="parts", came=len(parts))
            size = sum(part.file_size for part in parts)
            if size > limit:
                raise SheetTooLarge(limit=limit, unit_zh="字节", unit_en="bytes", came=size)
            for part in parts:
                if part.filename == ARC_CONTENT_TYPES:
                    _check_part(archive, part, is_large=False)
            large = _large_parts(archive)
            for part in parts:
                _check_part(archive, part, is_large=part.filename in large)
    except BROKEN as error:
        raise no_spreadsheet() from error


def _large_parts(archive: ZipFile) -> set[str]:
    """The names of the parts that are sheets or shared strings, and nothing else, by the file's manifest."""
    manifest = Manifest.from_tree(fromstring(archive.read(ARC_CONTENT_TYPES)))
    told: defaultdict[str, set[str]] = defaultdict(set)
    for each in manifest.Override:
        told[each.PartName[1:].lower()].add(each.ContentType)
    usual = {each.Extension.lower(): {each.ContentType} for each in manifest.Default}
    large = set[str]()
    for name in set(archive.namelist()) - NEVER_MANY:
        lowered = name.lower()
        types = told.get(lowered) or usual.get(lowered.rpartition(".")[2], set())
        if types and types <= MANY_ELEMENTS:
            large.add(name)
    return large


def _check_part(archive: ZipFile, part: ZipInfo, *, is_large: bool) -> None:
    with archive.open(part) as content:
        try:
            _check_xml(content, most=None if is_large else MAX_OTHER_ELEMENTS)
        except expat.ExpatError:
            if part.filename.lower().endswith((".xml", ".rels")):
                raise


def _check_xml(content: Any, *, most: int | None) -> None:
    """Raises SheetTooLarge, SheetUnreadable, ExpatError; `most` elements of a part that is no sheet."""
    parser = expat.ParserCreate()
    depth = near = far = count = 0

    def start(_name: str, _attributes: dict[str, str]) -> None:
        nonlocal depth, near, far, count
        depth, count = depth + 1, count + 1
        if most is not None and count > most:
            raise SheetTooLarge(limit=most, unit_zh="项样式或设置", unit_en="styles or settings", came=count)
        if depth <= NEAR:
            near, far = near + 1, 0
        else:
            far += 1
        if near > MAX_NEAR_ELEMENTS or far > MAX_FAR_ELEMENTS:
            raise SheetTooLarge(
                limit=MAX_NEAR_ELEMENTS if near > MAX_NEAR_ELEMENTS else MAX_FAR_ELEMENTS,
                unit_zh="个单元格" if far else "行",
                unit_en="cells in a row" if far else "rows",
                came=max(near, far),
            )

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def refuse_doctype(*_told: Any) -> None:
        raise SheetUnreadable(
            why_zh="文件中有文档类型声明，电子表格不应有", why_en="it declares a document type, as none does"
        )

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.StartDoctypeDeclHandler = refuse_doctype
    while piece := content.read(PIECE):
        parser.Parse(piece, False)
    parser.Parse(b"", True)


def no_spreadsheet() -> SheetUnreadable:
    """What is said of files that are none."""
    return SheetUnreadable(
        why_zh="它不是有效的 XLSX 文件，已损坏，或有密码保护；请用电子表格软件另存为 .xlsx",
        why_en="it is no valid XLSX file, damaged, or protected by a password; save it anew as .xlsx",
    )
