"""What was found in a video, and what follows from it. Small enough to travel as an op over a bad link."""

from __future__ import annotations

from typing import Literal

import msgspec

Outcome = Literal["authentic", "review", "rejected"]
"""``authentic``: shown and said. ``rejected``: it was checked and is not so. ``review``: it could not be checked."""

Group = Literal["person", "animal", "knife"]
GROUPS: tuple[Group, ...] = ("person", "animal", "knife")

Heard = Literal["heard", "not_heard", "other_order", "unclear"]


class Model(msgspec.Struct, frozen=True):
    """A model that looked or listened. ``version`` tells two builds of one name apart: the start of its
    sha256, of a detector also a mark of how it is fed and read."""

    name: str
    version: str


class Box(msgspec.Struct, frozen=True, array_like=True):
    """One thing seen. Corners are fractions of the picture, from its top left; ``score`` is 0 to 1."""

    group: Group
    label: str
    score: float
    left: float
    top: float
    right: float
    bottom: float


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """One sampled picture: seconds from the start, the best score of each group, and the boxes behind them."""

    time: float
    person: float
    animal: float
    knife: float
    boxes: tuple[Box, ...] = ()

    def score(self, group: Group) -> float:
        return {"person": self.person, "animal": self.animal, "knife": self.knife}[group]


class Word(msgspec.Struct, frozen=True, array_like=True, omit_defaults=True):
    """One word as the recogniser wrote it; seconds from the start of the video, confidence 0 to 1.

    ``reading`` 0 is what it takes for right, the others are further ways to write the same sound.
    """

    text: str
    start: float
    end: float
    confidence: float
    reading: int = 0


class Claim(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name that ought to be said, or one of the other names of the site.

    ``order`` is what people call the order by; ``spellings`` are other ways to write the same name.
    """

    name: str
    spellings: tuple[str, ...] = ()
    order: str = ""


class ShareMatch(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one share's name fared. ``score`` 0 to 1 is how like its sound the ``said`` words are.

    ``which`` is the other name (and ``which_order`` its order) that the words fit better.
    """

    name: str
    heard: Heard
    score: float
    said: str = ""
    start: float = 0.0
    end: float = 0.0
    order: str = ""
    which: str = ""
    which_order: str = ""


class Stray(msgspec.Struct, frozen=True, omit_defaults=True):
    """A name that was said although nothing asked for it there: one of another order besides all that were due
    (``extra``), or a due one for a second time (``repeated``). It is told and changes no outcome."""

    kind: Literal["extra", "repeated"]
    name: str
    said: str
    start: float
    end: float
    order: str = ""


class Reason(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why a verdict is not ``authentic``: a code of :data:`CAUSES`, whom it is about, what was heard instead."""

    code: str
    about: str = ""
    instead: str = ""


class Verdict(msgspec.Struct, frozen=True, omit_defaults=True):
    """The outcome and the evidence for it.

    ``frames`` are the best few of ``sampled``, of which ``together`` showed all three groups at once.
    ``seconds`` is the length of the video, ``code`` the version of the rules (of the code, a dot, of the thresholds).
    """

    outcome: Outcome
    code: str
    reasons: tuple[Reason, ...] = ()
    shares: tuple[ShareMatch, ...] = ()
    strays: tuple[Stray, ...] = ()
    frames: tuple[Frame, ...] = ()
    sampled: int = 0
    together: int = 0
    words: tuple[Word, ...] = ()
    seconds: float = 0.0
    detector: Model | None = None
    recogniser: Model | None = None


class Cause(msgspec.Struct, frozen=True):
    """One row of :data:`CAUSES`: the outcome it leads to, and what to do again, in the languages of the sites."""

    outcome: Outcome
    en: str
    fr: str
    ar: str


CAUSES: dict[str, Cause] = {
    # It could be checked and is not so.
    "no_person": Cause(
        "rejected",
        "No person was seen. Record again with the person who holds the animal in the picture.",
        "Aucune personne visible. Refaites la vidéo avec la personne qui tient l'animal dans l'image.",
        "لم يظهر أي شخص. أعد التسجيل بحيث يظهر من يمسك الحيوان في الصورة.",
    ),
    "no_animal": Cause(
        "rejected",
        "No animal was seen. Record again with the whole animal in the picture.",
        "Aucun animal visible. Refaites la vidéo avec l'animal entier dans l'image.",
        "لم يظهر أي حيوان. أعد التسجيل بحيث يظهر الحيوان كاملاً في الصورة.",
    ),
    "no_knife": Cause(
        "rejected",
        "No knife was seen. Record again and show the knife to the camera.",
        "Aucun couteau visible. Refaites la vidéo en montrant le couteau à la caméra.",
        "لم تظهر أي سكين. أعد التسجيل وأظهر السكين أمام الكاميرا.",
    ),
    "not_together": Cause(
        "rejected",
        "Person, animal and knife were never in one picture. Step back and record all three together.",
        "Personne, animal et couteau jamais sur une même image. Reculez et filmez les trois ensemble.",
        "لم يظهر الشخص والحيوان والسكين معاً في صورة واحدة. ابتعد قليلاً وسجل الثلاثة معاً.",
    ),
    "name_not_said": Cause(
        "rejected",
        "The name {about} was not said. Record again and say it aloud, close to the microphone.",
        "Le nom {about} n'a pas été dit. Refaites la vidéo en le disant à voix haute, près du micro.",
        "لم يُذكر الاسم {about}. أعد التسجيل وانطقه بصوت عالٍ قرب الميكروفون.",
    ),
    "other_name_said": Cause(
        "rejected",
        "{instead} was said instead of {about}. Check which animal this is, then record again.",
        "{instead} a été dit au lieu de {about}. Vérifiez de quel animal il s'agit, puis refaites la vidéo.",
        "ذُكر {instead} بدلاً من {about}. تحقق من الحيوان ثم أعد التسجيل.",
    ),
    # It could not be checked: the file.
    "file_empty": Cause(
        "review",
        "The file is empty. Record again and wait until the upload is complete.",
        "Le fichier est vide. Refaites la vidéo et attendez la fin de l'envoi.",
        "الملف فارغ. أعد التسجيل وانتظر حتى يكتمل الرفع.",
    ),
    "not_a_video": Cause(
        "review",
        "This file is not a video. Choose the video and send it again.",
        "Ce fichier n'est pas une vidéo. Choisissez la vidéo et envoyez-la de nouveau.",
        "هذا الملف ليس فيديو. اختر الفيديو وأرسله من جديد.",
    ),
    "file_damaged": Cause(
        "review",
        "The video is cut short or damaged. Send it again; if that does not help, record again.",
        "La vidéo est coupée ou abîmée. Envoyez-la de nouveau ; sinon, refaites-la.",
        "الفيديو مقطوع أو تالف. أرسله من جديد، وإن لم ينفع فأعد التسجيل.",
    ),
    "no_picture": Cause(
        "review",
        "The file has sound but no picture. Record again with the camera.",
        "Le fichier contient du son mais pas d'image. Refaites la vidéo avec la caméra.",
        "في الملف صوت بلا صورة. أعد التسجيل بالكاميرا.",
    ),
    "too_long": Cause(
        "review",
        "The video is too long to be checked here. Record only the sacrifice.",
        "La vidéo est trop longue pour être vérifiée ici. Ne filmez que le sacrifice.",
        "الفيديو أطول من أن يُفحص هنا. سجل الذبح فقط.",
    ),
    "too_demanding": Cause(
        "review",
        "The video could not be read in the time and memory allowed. Record again at 1080p or less.",
        "La vidéo n'a pu être lue dans le temps et la mémoire prévus. Refaites-la en 1080p au plus.",
        "تعذرت قراءة الفيديو في الوقت والذاكرة المسموح بهما. أعد التسجيل بدقة 1080p أو أقل.",
    ),
    "decoder_crashed": Cause(
        "review",
        "The video could not be read. Send it again; if that does not help, record again.",
        "La vidéo n'a pas pu être lue. Envoyez-la de nouveau ; sinon, refaites-la.",
        "تعذرت قراءة الفيديو. أرسله من جديد، وإن لم ينفع فأعد التسجيل.",
    ),
    # It could not be checked: the picture.
    "no_detector": Cause(
        "review",
        "No model for looking is installed here. A person must look at the video.",
        "Aucun modèle de vision n'est installé ici. Une personne doit regarder la vidéo.",
        "لا يوجد هنا نموذج للرؤية. يجب أن يشاهد شخص الفيديو.",
    ),
    "person_unsure": Cause(
        "review",
        "It is not clear that a person is in the picture. Record again with more light, from the front.",
        "La présence d'une personne n'est pas claire. Refaites la vidéo de face, avec plus de lumière.",
        "ظهور شخص في الصورة غير واضح. أعد التسجيل من الأمام وبإضاءة أفضل.",
    ),
    "animal_unsure": Cause(
        "review",
        "It is not clear that an animal is in the picture. Record again with the whole animal in view.",
        "La présence d'un animal n'est pas claire. Refaites la vidéo avec l'animal entier.",
        "ظهور حيوان في الصورة غير واضح. أعد التسجيل بحيث يظهر الحيوان كاملاً.",
    ),
    "knife_unsure": Cause(
        "review",
        "It is not clear that a knife is in the picture. Hold the knife still before the camera for two seconds.",
        "La présence d'un couteau n'est pas claire. Tenez le couteau immobile devant la caméra deux secondes.",
        "ظهور السكين غير واضح. ثبت السكين أمام الكاميرا ثانيتين.",
    ),
    "scene_unsure": Cause(
        "review",
        "Person, animal and knife were together too briefly. Record all three together for a few seconds.",
        "Personne, animal et couteau trop brièvement ensemble. Filmez les trois quelques secondes.",
        "ظهر الشخص والحيوان والسكين معاً لوقت قصير جداً. سجل الثلاثة معاً بضع ثوان.",
    ),
    # It could not be checked: the sound.
    "no_names": Cause(
        "review",
        "There is no name to listen for. Assign the animal to its orders first.",
        "Aucun nom à vérifier. Attribuez d'abord l'animal à ses commandes.",
        "لا يوجد اسم للتحقق منه. خصص الحيوان لطلباته أولاً.",
    ),
    "no_sound": Cause(
        "review",
        "The video has no sound. Allow the microphone and record again.",
        "La vidéo n'a pas de son. Autorisez le micro et refaites-la.",
        "الفيديو بلا صوت. اسمح بالميكروفون وأعد التسجيل.",
    ),
    "muted": Cause(
        "review",
        "The microphone recorded silence. Unmute it and record again.",
        "Le micro n'a enregistré que du silence. Réactivez-le et refaites la vidéo.",
        "سجل الميكروفون صمتاً. ألغ كتم الصوت وأعد التسجيل.",
    ),
    "no_speech": Cause(
        "review",
        "Nobody was heard speaking. Say the names aloud, close to the microphone.",
        "Aucune voix entendue. Dites les noms à voix haute, près du micro.",
        "لم يُسمع أي كلام. انطق الأسماء بصوت عالٍ قرب الميكروفون.",
    ),
    "no_recogniser": Cause(
        "review",
        "No model for listening is installed here. A person must listen to the video.",
        "Aucun modèle d'écoute n'est installé ici. Une personne doit écouter la vidéo.",
        "لا يوجد هنا نموذج للاستماع. يجب أن يستمع شخص إلى الفيديو.",
    ),
    "wrong_language": Cause(
        "review",
        "The model that listens does not know the language spoken here. Install one that does.",
        "Le modèle d'écoute ne connaît pas la langue parlée ici. Installez-en un qui la connaît.",
        "نموذج الاستماع لا يعرف اللغة المستعملة هنا. ثبت نموذجاً يعرفها.",
    ),
    "speech_unclear": Cause(
        "review",
        "The speech was not clear enough. Say the names slowly, close to the microphone.",
        "La parole n'était pas assez claire. Dites les noms lentement, près du micro.",
        "الكلام غير واضح بما يكفي. انطق الأسماء ببطء قرب الميكروفون.",
    ),
    "name_unclear": Cause(
        "review",
        "It is not clear that {about} was said. Say the name slowly, close to the microphone.",
        "Il n'est pas sûr que {about} ait été dit. Dites le nom lentement, près du micro.",
        "ليس واضحاً أن الاسم {about} قد ذُكر. انطقه ببطء قرب الميكروفون.",
    ),
}


def hint(reason: Reason, language: str = "en") -> str:
    """What to do again, in ``en``, ``fr`` or ``ar`` (anything else reads English)."""
    cause = CAUSES[reason.code]
    text = {"fr": cause.fr, "ar": cause.ar}.get(language, cause.en)
    return text.format(about=reason.about, instead=reason.instead)
