"""An XML text and an XPath -> whether it holds, what it selects, or the XML with that replaced.

Computed where it is bounded in time and memory (``runtime/evaluator.py``), never in the machine itself. XML is parsed
without entities, external parts or network; prefixes of the query are those the document declares anywhere.

A selected element is its text where it holds nothing else, and XML where it does, so that it can be selected in again.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any, Final

from ..values import Json
from .question import Answer, Question
from .verdict import clip
from .xpath import parser_of

__all__ = ["answer_xpath"]

_PLAIN: Final = (bool, int, str)


def answer_xpath(question: Question) -> Answer:
    """Answer a question in the language ``xpath``. Whatever goes wrong is an Answer with a problem."""
    from elementpath import ElementPathError
    from lxml import etree

    try:
        tree = _parsed(question.subject)
    except (etree.XMLSyntaxError, ValueError) as error:
        return Answer(problem=f"the text is no XML: {clip(str(error), 120)}")
    try:
        found = _selected_by_lxml(question, tree) if question.version == "xpath-10" else _Selection(question, tree)
        if question.want == "truth":
            return Answer(value=found.truth())
        if question.want == "value":
            chosen = found.values()
            return Answer(value=chosen[0] if len(chosen) == 1 else chosen)
        return _replaced(found.targets(), question.replacement, tree)
    except (ElementPathError, etree.XPathError, etree.LxmlError, ArithmeticError, ValueError, TypeError) as error:
        return Answer(problem=clip(str(error), 160))
    except RecursionError:
        return Answer(problem="it is nested too deeply")


def _parsed(text: str) -> Any:
    """The document. An encoding it declares is about bytes that are long decoded."""
    from lxml import etree

    parser = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=False, encoding="utf-8")
    return etree.fromstring(text.strip().encode("utf-8"), parser).getroottree()


def _namespaces(tree: Any) -> dict[str, str]:
    """Prefix to namespace; of a prefix declared twice the outer one."""
    found: dict[str, str] = {}
    for element in tree.iter():
        for prefix, uri in (element.nsmap or {}).items():
            if prefix:
                found.setdefault(prefix, uri)
    return found


class _Selection:
    """What an XPath from 2.0 on comes to in one document."""

    def __init__(self, question: Question, tree: Any) -> None:
        from elementpath import XPathContext

        token = parser_of(question.version, _namespaces(tree)).parse(question.expression)
        context = XPathContext(root=tree, variables=dict(question.variables))
        self.token = token
        self.items = list(token.select(context))

    def truth(self) -> bool:
        """The effective boolean value by the rules of the version; it raises for what has none."""
        return bool(self.token.boolean_value(self.items))

    def values(self) -> list[Json]:
        return [_value(item) for item in self.items]

    def targets(self) -> list[tuple[Any, str, str]]:
        """Each selected node as the element it belongs to, what of it is meant, and a name."""
        found = []
        for item in self.items:
            kind, parent = type(item).__name__, getattr(item, "parent", None)
            if getattr(item, "elem", None) is not None and isinstance(item.elem.tag, str):
                found.append((item.elem, "element", ""))
            elif "Attribute" in kind and parent is not None:
                found.append((parent.elem, "attribute", str(item.name)))
            elif kind == "TextNode" and parent is not None:
                found.append((parent.elem, "element", ""))
            else:
                raise ValueError("the XPath selects something that is no element, attribute or text")
        return found


class _Lxml(_Selection):
    """What an XPath 1.0 comes to; relative paths begin at the root element."""

    def __init__(self, result: Any) -> None:
        self.result = result
        self.items = result if isinstance(result, list) else [result]

    def truth(self) -> bool:
        """XPath 1.0 section 4.3, boolean: a number is true unless it is zero or not a number."""
        return bool(self.result) and self.result == self.result

    def targets(self) -> list[tuple[Any, str, str]]:
        found = []
        for item in self.items:
            parent = item.getparent() if isinstance(item, str) and hasattr(item, "getparent") else None
            if hasattr(item, "tag") and isinstance(item.tag, str):
                found.append((item, "element", ""))
            elif parent is not None:
                found.append((parent, "attribute" if item.is_attribute else "element", item.attrname or ""))
            else:
                raise ValueError("the XPath selects something that is no element, attribute or text")
        return found


def _selected_by_lxml(question: Question, tree: Any) -> _Selection:
    from lxml import etree

    query = etree.XPath(question.expression, namespaces=_namespaces(tree))
    return _Lxml(query(tree, **dict(question.variables)))


def _value(item: Any) -> Json:
    """One selected item as JSON."""
    from lxml import etree

    if isinstance(item, _PLAIN):
        return str(item) if isinstance(item, str) else item
    if isinstance(item, (float, Decimal)):
        whole = float(item)
        return int(whole) if whole.is_integer() and abs(whole) < 2**53 else whole if math.isfinite(whole) else str(item)
    node = getattr(item, "elem", None)
    node = item if node is None and hasattr(item, "tag") else node
    if node is not None and isinstance(node.tag, str):
        return etree.tostring(node, encoding="unicode", with_tail=False) if len(node) else node.text or ""
    document = getattr(item, "document", None)
    if document is not None and type(item).__name__.endswith("DocumentNode"):
        return etree.tostring(document.getroot(), encoding="unicode")
    text = getattr(item, "string_value", None)
    return str(item) if text is None else str(text)


def _replaced(targets: list[tuple[Any, str, str]], replacement: str, tree: Any) -> Answer:
    """Set each target to the text. It is always text, never markup."""
    from lxml import etree

    if not targets:
        return Answer(problem="the XPath selects nothing in it")
    for element, kind, name in targets:
        if kind == "attribute":
            element.set(name, replacement)
        else:
            for child in list(element):
                element.remove(child)
            element.text = replacement
    return Answer(value=etree.tostring(tree, encoding="unicode"))
