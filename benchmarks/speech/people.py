"""Names as they are written in Latin letters, how English and French readers should say them, and in Arabic.

The Arabic carries its vowel signs, which the synthesiser needs and nobody writes: claims are made without them.
"""

from __future__ import annotations

import random
import re
import unicodedata

import msgspec


class Part(msgspec.Struct, frozen=True):
    """A first or a family name: as written, spelled for an English reader where that differs, in vocalised Arabic."""

    latin: str
    english: str = ""
    arabic: str = ""


class Person(msgspec.Struct, frozen=True):
    given: Part
    family: Part

    @property
    def name(self) -> str:
        return f"{self.given.latin} {self.family.latin}"

    @property
    def arabic(self) -> str:
        """As it is written: without vowel signs."""
        return bare(f"{self.given.arabic} {self.family.arabic}") if self.has_arabic else ""

    @property
    def has_arabic(self) -> bool:
        return bool(self.given.arabic and self.family.arabic)

    def said(self, language: str) -> str:
        """What a synthesiser of ``language`` is given to read."""
        if language == "ar":
            return f"{self.given.arabic} {self.family.arabic}"
        if language == "en":
            return " ".join(part.english or part.latin for part in (self.given, self.family))
        return self.name


def bare(arabic: str) -> str:
    return re.sub("[\u064b-\u0652]", "", unicodedata.normalize("NFC", arabic))


def _parts(table: str) -> list[Part]:
    rows = (line.split("|") for line in table.strip().splitlines())
    return [Part(*(cell.strip() for cell in row)) for row in rows]


GIVEN = _parts("""
    Ahmed | Ahmed | أَحْمَدْ
    Mohamed | Mohammed | مُحَمَّدْ
    Youssef | Yoosef | يُوسُفْ
    Karim | Kareem | كَرِيمْ
    Omar | Omar | عُمَرْ
    Ibrahim | Ibraheem | إِبْرَاهِيمْ
    Hassan | Hassan | حَسَنْ
    Hussein | Hoossayn | حُسَيْنْ
    Tariq | Tariq | طَارِقْ
    Bilal | Bilal | بِلَالْ
    Rachid | Rasheed | رَشِيدْ
    Mourad | Moorad | مُرَادْ
    Nabil | Nabeel | نَبِيلْ
    Samir | Sameer | سَمِيرْ
    Salim | Saleem | سَلِيمْ
    Moussa | Moossa | مُوسَى
    Issa | Eessa | عِيسَى
    Abdelkader | Abdel Kader | عَبْدُ الْقَادِرْ
    Abderrahmane | Abder Rahman | عَبْدُ الرَّحْمَنْ
    Noureddine | Noor Eddeen | نُورُ الدِّينْ
    Khaled | Khaled | خَالِدْ
    Walid | Waleed | وَلِيدْ
    Zakaria | Zakaria | زَكَرِيَّا
    Mamadou | Mamadoo |
    Souleymane | Soolayman | سُلَيْمَانْ
    Ousmane | Oosman | عُثْمَانْ
    Fatima | Fatima | فَاطِمَةْ
    Fatima Zohra | Fatima Zohra | فَاطِمَةُ الزَّهْرَاءْ
    Khadija | Khadeeja | خَدِيجَةْ
    Aïcha | Aisha | عَائِشَةْ
    Leila | Layla | لَيْلَى
    Samira | Sameera | سَمِيرَةْ
    Amina | Ameena | أَمِينَةْ
    Aminata | Aminata |
    Zineb | Zeyneb | زَيْنَبْ
    Maryam | Maryam | مَرْيَمْ
    Nadia | Nadia | نَادِيَةْ
    Houda | Hooda | هُدَى
    Halima | Haleema | حَلِيمَةْ
    Karima | Kareema | كَرِيمَةْ
    Yasmina | Yasmeena | يَاسَمِينَةْ
    Salma | Salma | سَلْمَى
    Mustafa | Moostafa | مُصْطَفَى
    Jamal | Jamal | جَمَالْ
    Hamza | Hamza | حَمْزَةْ
    Idriss | Idrees | إِدْرِيسْ
    Kamel | Kamel | كَامِلْ
    Yassine | Yaseen | يَاسِينْ
    Anwar | Anwar | أَنْوَرْ
    Farid | Fareed | فَرِيدْ
    Mahmoud | Mahmood | مَحْمُودْ
    Taha | Taha | طَهَ
    Latifa | Lateefa | لَطِيفَةْ
    Soumaya | Soomaya | سُمَيَّةْ
    Rania | Rania | رَانِيَةْ
    Hanane | Hanan | حَنَانْ
    Warda | Warda | وَرْدَةْ
    Asma | Asma | أَسْمَاءْ
    Mariama | Mariama |
    Boubacar | Boobacar |
""")

FAMILY = _parts("""
    Benali | Ben Ali | بِنْ عَلِي
    Mansouri | Mansoori | مَنْصُورِي
    Haddad | Haddad | حَدَّادْ
    Toumi | Toomi | تُومِي
    Bouzid | Boozeed | بُوزِيدْ
    Cherif | Shereef | شَرِيفْ
    Idrissi | Idreesi | إِدْرِيسِي
    Alaoui | Alawi | عَلَوِي
    Belkacem | Belkassem | بَلْقَاسِمْ
    Brahimi | Braheemi | بَرَاهِيمِي
    Khelifi | Khaleefi | خَلِيفِي
    Zerrouki | Zerrooki | زَرُّوقِي
    Hamdaoui | Hamdawi | حَمْدَاوِي
    Saïdi | Sa eedi | سَعِيدِي
    Meziane | Mezian | مِزْيَانْ
    Djebbar | Jebbar | جَبَّارْ
    Keita | Keita |
    Diallo | Diallo |
    Traoré | Traoray |
    Bello | Bello |
    Danjuma | Danjooma |
    Khan | Khan | خَانْ
    Qureshi | Kureshi | قُرَيْشِي
    Farouk | Farook | فَارُوقْ
    Najjar | Najjar | نَجَّارْ
    Tounsi | Toonsi | تُونُسِي
    Ghazali | Ghazali | غَزَالِي
    Rahmani | Rahmani | رَحْمَانِي
    Bennani | Bennani | بَنَّانِي
    Benchaabane | Ben Shaban | بِنْ شَعْبَانْ
    Chaoui | Shawi | شَاوِي
    Yilmaz | Yilmaz | يِلْمَازْ
    Slimani | Sleemani | سُلَيْمَانِي
    Boudiaf | Boodiaf | بُوضِيَافْ
    Ziani | Ziani | زِيَانِي
    Hamidi | Hameedi | حَمِيدِي
    Kaddour | Kaddoor | قَدُّورْ
    Messaoudi | Messaoodi | مَسْعُودِي
    Larbi | Larbi | الْعَرَبِي
    Touré | Tooray |
    Sow | So |
    Ouattara | Wattara |
    Mokhtar | Mokhtar | مُخْتَارْ
    Ramdani | Ramdani | رَمَضَانِي
    Daoudi | Dawoodi | دَاوُودِي
    Sabri | Sabri | صَبْرِي
""")

# Whoever hears one of these may have been told the other.
_ALIKE = (
    ("Hassan", "Hussein"), ("Ahmed", "Mohamed"), ("Samir", "Nabil"), ("Salim", "Karim"), ("Moussa", "Issa"),
    ("Khadija", "Khaled"), ("Leila", "Halima"), ("Amina", "Aminata"), ("Fatima", "Karima"), ("Rachid", "Walid"),
    ("Mourad", "Noureddine"), ("Omar", "Ousmane"), ("Zineb", "Yasmina"), ("Nadia", "Houda"), ("Youssef", "Souleymane"),
    ("Bilal", "Tariq"), ("Ibrahim", "Karim"), ("Abdelkader", "Abderrahmane"), ("Samira", "Amina"), ("Maryam", "Salma"),
)  # fmt: skip


def site(size: int, rng: random.Random, *, arabic: bool, half: int) -> list[Person]:
    """``size`` people with different names; where ``arabic``, only such as have an Arabic spelling.

    No first and no family name of the one ``half`` (0 or 1) is in the other.
    """
    everybody = [Person(given, family) for given in GIVEN[half::2] for family in FAMILY[half::2]]
    return rng.sample([person for person in everybody if person.has_arabic or not arabic], size)


def near(person: Person, rng: random.Random) -> list[Person]:
    """People whose names are nearly this one: another first name (one that is easily confused), another family name."""
    known = {part.latin: part for part in GIVEN if part.arabic or not person.has_arabic}
    alike = [other for pair in _ALIKE if person.given.latin in pair for other in pair if other != person.given.latin]
    given = [known[name] for name in alike if name in known]
    others = [part for part in known.values() if part.latin != person.given.latin and part not in given]
    family = [part for part in FAMILY if part != person.family and (part.arabic or not person.has_arabic)]
    return [
        *(Person(part, person.family) for part in [*given, *rng.sample(others, 2)][:2]),
        *(Person(person.given, part) for part in rng.sample(family, 2)),
    ]
