"""Letters that look like other letters: what a reader sees as one word, spelled with characters of another script.

The tables hold the lower-case and upper-case letters of Cyrillic, Greek, Armenian, Cherokee and phonetic Latin that
Unicode Technical Standard 39 (Unicode Security Mechanisms, section 4, confusable detection) calls confusable with
a Latin letter, and that fonts really draw alike. Styled letters (fullwidth, mathematical, circled, superscript) need no
table: NFKC maps them. The few families that NFKC leaves alone (squared, negative circled, regional) are made here.
"""

from typing import Final

_PAIRS: Final = (
    # Cyrillic, lower case and upper case: those drawn alike in both, then those that are alike in capitals only.
    "аa еe оo рp сc уy хx ѕs іi јj һh ԁd ԛq ԝw ӏl ѵv ьb гr кk пn тt мm нh вb ґr ёe їi ўy иu шw щw яr эe жx зe "
    "ӕæ ҽe ҫc ҝk ӿx "
    "АA ВB ЕE КK МM НH ОO РP СC ТT УY ХX ЅS ІI ЈJ ԌG ӀI ԚQ ԜW ЁE ЇI ҮY ЬB ЗE ИN ЯR "
    # Greek.
    "αa βb γy δd εe ηn ιi κk μu νv οo ρp σo τt υu χx ωw ϲc ϳj ςs άa έe ήn ίi όo ύu ώw "
    "ΑA ΒB ΕE ΖZ ΗH ΙI ΚK ΜM ΝN ΟO ΡP ΤT ΥY ΧX ΣE "
    # Armenian and Cherokee.
    "օo սu հh ոn ցg զq յj քp ԁd ՏS ՍU ՕO "
    "ᎠD ᎡR ᎢT ᎥI ᎪA ᎫJ ᎬE ᎳW ᎷM ᎻH ᎽY ᏀG ᏃZ ᏎS ᏟC ᏢP ᏦK ᏙV ᏞL ᏒR ᏴB "
    # Latin letters that are not those of an alphabet: phonetic, small capitals, turned, dotless.
    "ɑa ɡg ıi ȷj ɩi ʋv ɯw ɴn ʀr ɪi ʟl ʏy ʜh ɢg ʙb ᴀa ᴄc ᴅd ᴇe ᴊj ᴋk ᴍm ᴏo ᴘp ᴛt ᴜu ᴠv ᴡw ᴢz ꜱs ꜰf ɐa "
    "ǝe ɔc ɹr ʇt ʌv ʍw ʎy ɥh "
    "ƙk ɓb ɗd ɠg ɦh ƥp ƭt ʂs ʐz ɇe ɨi ɵo ʉu ƀb đd ħh łl øo ŧt ƶz ɛe ɜe ƽs ƨs ʃs ɾr ɽr ɲn ŋn ɱm ɫl ɭl"
)
_SAME_SHAPE: Final = "асеорхуѕіјһԁԛԝӏѵ"
"""Cyrillic letters that no reader tells from Latin ones in any font: a word of these alone may be a Latin one."""

LATIN: Final[dict[str, str]] = {pair[0]: pair[1:] for pair in _PAIRS.split()}
"""From a letter to the Latin one that it looks like."""

CYRILLIC: Final[dict[str, str]] = {
    **dict(zip("aeopcyxkmhtbnugr", "аеорсухкмнтвпигг", strict=True)),
    **dict(zip("AEOPCYXKMHTB", "АЕОРСУХКМНТВ", strict=True)),
    **{"i": "и", "s": "с", "l": "л", "d": "д", "z": "з", "f": "ф", "v": "в", "w": "ш", "j": "й", "q": "я"},
    **{"3": "з", "0": "о", "4": "ч", "6": "б", "1": "и"},
}
"""From a Latin letter or a digit to the Cyrillic one that it stands for inside a word that is otherwise Cyrillic."""

SQUARED: Final[dict[int, str]] = {
    first + place: chr(ord("a") + place)
    for first in (0x1F130, 0x1F150, 0x1F170, 0x1F1E6)  # squared, negative circled, negative squared, regional
    for place in range(26)
}
"""Letters in boxes that NFKC leaves as they are, for `str.translate`."""


def looks_latin(word: str) -> bool:
    """Whether a Cyrillic word could be read as a Latin one, letter by letter."""
    return all(letter in _SAME_SHAPE for letter in word)
