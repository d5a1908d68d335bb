# ruff: noqa: E501 - a phrase is easier to read on one line
"""Questions about the library in other languages, as phrases with the English request that each one means.

To add a language, add an entry to `LANGUAGES`. A phrase is a regular expression for a whole message in lower
case and without accents. ``{papers}`` and ``{here}`` stand for the words of the language, ``{x}`` for any text,
``{name}`` for a name that begins with a capital letter, or a text in quotes.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True, slots=True)
class Language:
    """The phrases of a language."""

    papers: str
    """Words for papers."""
    here: str
    """Words for "in the library", which may follow or be left out."""
    references: tuple[tuple[str, str], ...]
    """How a paper is named, tried on ``{x}``."""
    phrases: tuple[tuple[str, str], ...]


_GERMAN = Language(
    papers=r"(?:papers?|papern|artikeln?|arbeiten|veroffentlichungen|publikationen|studien|dokumente?n?|aufsatze?n?|abstracts)",
    here=r"(?: ?(?:hier|da|drin|hier drin|da drin|(?:in|aus) (?:der|deiner|meiner|dieser|unserer) (?:bibliothek|sammlung|datenbank)|insgesamt|vorhanden|im bestand|alles|denn|eigentlich|bitte|gespeichert))*",
    references=(
        (r"(?:es|sie|dieses paper|dieser artikel|diese arbeit|das paper)", "it"),
        (r"(?:das |der |dem |den |die |ein )?(?:paper|artikel|arbeit)(?: mit dem titel| namens| mit namen)? (?:zu|uber|von) (.+)", "the paper on {}"),
        (r"(?:das |der |dem |den |die |ein )?(?:paper|artikel|arbeit)(?: mit dem titel| namens| mit namen)? (.+)", "the paper {}"),
        (r"(?:das |der |dem |den |die )?(.+?)[- ](?:paper|artikel|arbeit)", "the {} paper"),
    ),
    phrases=(
        (r"(?:in )?wie ?viele[nr]? {papers} (?:erwahnen|nennen|enthalten|zitieren|sprechen von|(?:kommt|wird|steht) (?=.+ (?:vor|erwahnt|genannt)$)) ?{x}(?: vor| erwahnt| genannt)?", "how many papers mention {x}"),
        (r"(?:wie ?viele|anzahl(?: der)?) {papers}(?: gibt es| hast du| habt ihr| sind)?{here} (?:zu|uber|zum thema) {x}", "how many papers on {x}"),
        (r"(?:wie ?viele|anzahl(?: der)?) {papers}(?: gibt es| hast du| sind)?{here} von {name}", "how many papers by {x}"),
        (r"(?:wie ?viele|(?:die )?(?:an)?zahl(?: der| aller)?) {papers}(?: gibt es| hast du| habt ihr| haben wir| habe ich| sind(?: das| es)?| kennst du| liegen| enthalt die (?:bibliothek|sammlung))?{here}", "how many papers are here"),
        (r"wie (?:gross|umfangreich) ist (?:die|deine|meine|diese) (?:bibliothek|sammlung|datenbank)", "how many papers are here"),
        (r"(?:welche|(?:zeig|liste|nenn)e?(?: mir)?(?: alle| die)*) {papers},? (?:die )?(?:erwahnen|nennen|enthalten|zitieren) {x}", "which papers mention {x}"),
        (r"(?:welche|(?:zeig|liste|nenn)e?(?: mir)?(?: alle| die)*) {papers},? die {x} (?:erwahnen|nennen|enthalten|zitieren)", "which papers mention {x}"),
        (r"(?:bitte )?(?:zeig|liste|nenn|gib|zeige?)e?(?: mir)?(?: bitte)?(?: alle| die| deine| samtliche| eine liste(?: der| aller)?)* (?:titel|{papers})(?: auf| an)?{here}", "list all titles"),
        (r"(?:welche|was fur) {papers} (?:gibt es|hast du|habt ihr|sind|kennst du){here}", "list all titles"),
        (r"(?:alle|samtliche|die) (?:titel|{papers})(?: (?:bitte )?(?:an)?(?:zeigen|auflisten|ausgeben|nennen))?{here}|(?:titel|{papers}) (?:auflisten|anzeigen|zeigen)", "list all titles"),
        (r"was (?:ist|steht|gibt es|hast du|befindet sich|liegt|enthalt|steckt)(?: (?:die|deine) (?:bibliothek|sammlung))?{here}", "what's in the library"),
        (r"worum (?:geht|gehts|dreht)(?: es| sich alles)?(?: in (?:den|deinen|diesen|meinen) {papers}|{here})", "what's in the library"),
        (r"(?:welche|was fur) (?:themen|gebiete|themengebiete|bereiche)(?: gibt es| hast du| deckst du ab| werden behandelt| sind abgedeckt| behandeln (?:die|deine) {papers}| kennst du)?{here}", "what topics are covered"),
        (r"(?:was gibt(?: es|'s|s)|gibt es(?: etwas| was)?|irgend(?:et)?was|etwas|was ist) ?neue?s? (?:zu|uber|zum thema) {x}", "what's new on {x}"),
        (r"(?:was gibt(?: es|'s|s)|gibt es(?: etwas| was)?|irgend(?:et)?was|etwas|was ist) ?neue?s?{here}|neuigkeiten|neues", "what's new"),
        (r"(?:zeig(?:e)?(?: mir)? |was sind |welche(?:s)? (?:sind|ist) )?(?:die |das )?(?:neue?ste[nrs]?|aktuellste[nrs]?|jungste[nrs]?|letzte[nrs]?) {papers}{here}", "newest papers"),
        (r"wer (?:hat|schrieb) {x}(?: (?:geschrieben|verfasst|veroffentlicht))?|wer (?:sind|ist) (?:die|der) autor(?:en|in|innen)? (?:von|des) {y}|(?:die )?autoren (?:von|des) {z}|von wem (?:ist|stammt) {w}|wie hei(?:ss|ß)(?:t|en) (?:der|die) autor(?:en)? von {v}", "who wrote {x}"),
        (r"wann (?:wurde|ist|kam) {x} (?:veroffentlicht|erschienen|publiziert|heraus|raus)", "when was {x} published"),
        (r"wo (?:wurde|ist) {x} (?:veroffentlicht|erschienen|publiziert)", "where was {x} published"),
        (r"(?:gib mir )?(?:den |der )?link (?:zu|zum|von) {x}", "link to {x}"),
        (r"(?:hast du|habt ihr|gibt es|kennst du|findest du) (?:etwas|was|irgendwas|{papers}) von {name}{here}", "papers by {x}"),
        (r"was hat {name} (?:geschrieben|veroffentlicht|verfasst|publiziert)", "papers by {x}"),
        (r"{papers} von {name}{here}", "papers by {x}"),
        (r"(?:hast du|habt ihr|gibt es|kennst du|wo (?:finde ich|ist)) (?:das |den |die )?{x}{here}", "do you have {x}"),
        (r"(?:ist|sind) (?:das |der |die )?{x} (?:hier|da|drin|hier drin|da drin|dabei|vorhanden|(?:in|bei) (?:der|deiner|meiner|dieser) (?:bibliothek|sammlung|datenbank))(?: drin| vorhanden| enthalten)?", "is {x} in the library"),
        (r"fasse?(?: mir)?(?: bitte)? {x} (?:kurz )?zusammen|(?:eine? |gib mir eine |kurze )?zusammenfassung (?:von|zu|zum) {y}", "summarize {x}"),
        (r"(?:zeig(?:e)?(?: mir)? |hast du |gibt es )?(?:ahnliche {papers} (?:wie|zu)|{papers} ahnlich (?:wie|zu)|was ist ahnlich (?:wie|zu)|ahnliches (?:wie|zu)|(?:etwas|was) ahnliches wie) {x}", "papers similar to {x}"),
        (r"was (?:kannst|konntest) du(?: alles)?(?: (?:tun|machen))?|wie (?:funktioniert|geht|benutze ich|bediene ich|verwende ich) (?:das|dich|es)(?: hier)?|wer bist du|was kann ich (?:dich |hier )?(?:alles )?(?:fragen|machen|tun)|kannst du mir helfen", "help"),
    ),
)  # fmt: skip
_SPANISH = Language(
    papers=r"(?:articulos?|papers?|trabajos?|publicaciones|publicacion|documentos?|estudios)",
    here=r"(?: ?(?:aqui|en (?:la|tu|esta|mi|su) (?:biblioteca|coleccion|base de datos)|en total|por favor))*",
    references=(
        (r"(?:esto|lo|este articulo|el articulo)", "it"),
        (r"(?:el |un |del )?(?:articulo|paper|trabajo) (?:sobre|acerca de) (.+)", "the paper on {}"),
        (r"(?:el |un |del )?(?:articulo|paper|trabajo)(?: llamado| titulado)? (?:de )?(.+)", "the paper {}"),
        (r"el (.+?) paper", "the {} paper"),
    ),
    phrases=(
        (r"(?:hay |dime )?(?:en )?cuant[oa]s {papers}(?: hay)? (?:que )?(?:mencionan|hablan de|contienen|citan|nombran|usan|se menciona|aparece) {x}|numero de {papers} que (?:mencionan|hablan de|contienen) {y}", "how many papers mention {x}"),
        (r"(?:hay )?cuant[oa]s {papers}(?: hay| tienes| existen)?{here} (?:sobre|acerca de) {x}", "how many papers on {x}"),
        (r"cuant[oa]s {papers}(?: hay| tienes)?{here} de {name}", "how many papers by {x}"),
        (r"(?:hay |dime )?cuant[oa]s {papers}(?: (?:hay|tienes|tiene|existen|contiene|conoces|son))?(?: la biblioteca)?{here}|(?:el )?numero (?:total )?de {papers}{here}|que tan grande es (?:la|tu) (?:biblioteca|coleccion)", "how many papers are here"),
        (r"(?:que|cuales) {papers} (?:mencionan|hablan de|contienen|citan) {x}|(?:lista|muestra|muestrame|dame)(?: todos| los| las)* {papers} que (?:mencionan|hablan de|contienen) {y}", "which papers mention {x}"),
        (r"(?:lista|listar|muestra|muestrame|mostrar|ensename|dame|ver|quiero ver|enumera)(?: todos| todas| los| las| una lista de| la lista de)* (?:titulos|{papers}){here}|(?:todos los|lista de) (?:titulos|{papers}){here}", "list all titles"),
        (r"que (?:hay|tienes|contiene|incluye)(?: la biblioteca| tu biblioteca)?{here}|de que (?:trata|tratan|va|van) (?:la|esta|los|tus|estos) (?:biblioteca|coleccion|{papers})", "what's in the library"),
        (r"(?:de |sobre )?(?:que|cuales) (?:temas|areas|materias)(?: (?:tienes|hay|cubres|tratas|se tratan|abarcas|tratan|cubre|son))?(?: (?:los |tus )?{papers}| la biblioteca)?{here}", "what topics are covered"),
        (r"(?:que hay|hay algo|algo|que) (?:de )?nuevo (?:sobre|acerca de) {x}", "what's new on {x}"),
        (r"(?:que hay|hay algo|algo|que) (?:de )?nuevo{here}|(?:alguna )?noveda(?:d|des){here}", "what's new"),
        (r"(?:muestrame |dame |cuales son |ver )?(?:los |el |las )?(?:(?:ultim[oa]s?|nuev[oa]s|mas recientes?) {papers}|{papers} (?:mas )?(?:recientes?|nuev[oa]s?)){here}", "newest papers"),
        (r"quien(?:es)? (?:escribio|escribieron|ha escrito|han escrito|publico|es el autor de|es el autor del|son los autores de|son los autores del) {x}|(?:los )?autores (?:de|del) {y}", "who wrote {x}"),
        (r"cuando (?:se publico|fue publicado|salio|se ha publicado|aparecio) {x}|fecha (?:de publicacion )?(?:de|del) {y}", "when was {x} published"),
        (r"(?:donde|en que (?:conferencia|revista)) (?:se publico|fue publicado|aparecio) {x}", "where was {x} published"),
        (r"(?:el )?enlace (?:a|al|de|del) {x}", "link to {x}"),
        (r"(?:tienes (?:algo|{papers}) de|hay (?:algo|{papers}) de|{papers} (?:de|por|escritos por)|muestrame {papers} de) {name}{here}|que (?:ha escrito|ha publicado|escribio|publico) (?P<y>(?-i:[A-Z]).+)", "papers by {x}"),
        (r"(?:tienes|hay|esta|conoces) (?=(?:el|la|un|una)? ?(?:articulo|paper)\b){x}{here}|tienes (?:a )?{y}", "do you have {x}"),
        (r"esta {x} (?:aqui|(?:en|dentro de) (?:la|tu|esta) (?:biblioteca|coleccion))", "is {x} in the library"),
        (r"(?:resume|resumeme|resumir|puedes resumir|haz(?:me)? un resumen (?:de|del)|resumen (?:de|del)|dame un resumen (?:de|del)) {x}", "summarize {x}"),
        (r"(?:muestrame |hay |dame |busca )?(?:{papers} |algo )(?:similares?|parecidos?|relacionados?) (?:a|al|con|con el) {x}", "papers similar to {x}"),
        (r"que (?:puedes|sabes) hacer|que (?:puedo|se puede) (?:preguntar(?:te)?|hacer)(?: aqui)?|ayudame|quien eres|como (?:funciona(?: esto)?|se usa(?: esto)?|te uso)|puedes ayudarme|necesito ayuda", "help"),
    ),
)  # fmt: skip
_FRENCH = Language(
    papers=r"(?:articles?|papiers?|papers?|publications?|travaux|documents?|etudes)",
    here=r"(?: ?(?:ici|la-dedans|dedans|dans (?:la|ta|votre|cette|ma) (?:bibliotheque|collection|base(?: de donnees)?)|en tout|au total|s'il te plait|s'il vous plait|svp|stp))*",
    references=(
        (r"(?:ca|cela|cet article|ce papier|l'article)", "it"),
        (r"(?:l'|le |un |du )?(?:article|papier|paper) (?:sur|a propos de) (.+)", "the paper on {}"),
        (r"(?:l'|le |un |du )?(?:article|papier|paper)(?: intitule| nomme)? (?:de )?(.+)", "the paper {}"),
        (r"le (.+?) paper", "the {} paper"),
    ),
    phrases=(
        (r"(?:dans )?combien (?:d'|de |y a-t-il d'|y a-t-il de ){papers}(?: qui)? (?:mentionnent|parlent de|parlent d'|contiennent|citent|utilisent|evoquent) ?{x}", "how many papers mention {x}"),
        (r"combien (?:d'|de |y a-t-il d'|y a-t-il de ){papers}(?: y a-t-il| as-tu| il y a| avez-vous)?{here} (?:sur|concernant|a propos de) {x}", "how many papers on {x}"),
        (r"combien (?:d'|de ){papers}(?: y a-t-il| as-tu)?{here} (?:de|par) {name}", "how many papers by {x}"),
        (r"(?:il y a |y a-t-il |tu as |vous avez )?combien (?:d'|de |y a-t-il d'|y a-t-il de |as-tu d'|as-tu de ){papers}(?: y a-t-il| y a t il| as-tu| tu as| avez-vous| il y a| contient la bibliotheque| sont la)?{here}|(?:le )?nombre (?:total )?(?:d'|de ){papers}{here}|quelle est la taille de (?:la|ta) bibliotheque", "how many papers are here"),
        (r"quel(?:le)?s {papers} (?:mentionnent|parlent de|parlent d'|contiennent|citent) ?{x}|(?:liste|montre(?:-moi)?|affiche|donne(?:-moi)?) (?:les |tous les )?{papers} qui (?:mentionnent|parlent de|contiennent) {y}", "which papers mention {x}"),
        (r"(?:lister?|montrer?|montre-moi|affiche[rz]?|donne-moi|donne|voir|enumere)(?: moi)?(?: tous| toutes| les| la liste des| une liste des)* (?:titres|{papers}){here}|(?:tous les|liste des) (?:titres|{papers}){here}", "list all titles"),
        (r"(?:qu'est-ce qu'il y a|qu'y a-t-il|qu'est-ce que tu as|qu'as-tu|que contient|que trouve-t-on|il y a quoi|tu as quoi)(?: (?:la|ta|cette) bibliotheque)?{here}|de quoi (?:parlent?|traitent?|s'agit-il)(?: (?:la|cette|les|tes|ces) (?:bibliotheque|collection|{papers}))?{here}", "what's in the library"),
        (r"(?:quels|quelles) (?:sont les )?(?:sujets|themes|domaines)(?: (?:couvres-tu|sont couverts|as-tu|y a-t-il|traites-tu|sont abordes|abordent (?:les|tes) {papers}))?{here}", "what topics are covered"),
        (r"(?:quoi de neuf|du nouveau|des nouveautes|qu'y a-t-il de nouveau|quoi de nouveau) (?:sur|concernant) {x}", "what's new on {x}"),
        (r"(?:quoi de neuf|du nouveau|(?:les |des )?nouveautes|qu'y a-t-il de nouveau|quoi de nouveau){here}", "what's new"),
        (r"(?:montre-moi |donne-moi |quels sont )?(?:les |le )?(?:(?:derniers?|dernieres?|nouveaux|plus recents?) {papers}|{papers} (?:les |le )?(?:plus )?recents?){here}", "newest papers"),
        (r"qui (?:a|ont) (?:ecrit|redige|publie) {x}|(?:qui (?:est|sont) )?(?:les? )?auteurs? (?:de |du |d'){y}|qui est l'auteur (?:de |du |d'){z}", "who wrote {x}"),
        (r"quand (?:a ete publie|est sorti|est paru|fut publie) {x}|quand (?:est-ce que )?{y} (?:a ete publie|a-t-il ete publie|est-il (?:sorti|paru)|est (?:sorti|paru))|date de publication (?:de |du |d'){z}", "when was {x} published"),
        (r"(?:ou|dans quelle (?:conference|revue)) (?:a ete publie|est paru) {x}", "where was {x} published"),
        (r"(?:le )?lien (?:vers|de|du) {x}", "link to {x}"),
        (r"(?:as-tu |y a-t-il |tu as |montre-moi )?(?:quelque chose|des {papers}|les {papers}|{papers}) (?:de |d'|par |ecrits par ){name}{here}|qu'a (?:ecrit|publie) (?P<y>(?-i:[A-Z]).+)|qu'est-ce que (?P<z>(?-i:[A-Z]).+) a (?:ecrit|publie)", "papers by {x}"),
        (r"(?:as-tu|avez-vous|tu as|est-ce que tu as|y a-t-il|est-ce qu'il y a) (?=(?:l'|le |un |du )?(?:article|papier|paper)\b){x}{here}|(?:as-tu|avez-vous|tu as|est-ce que tu as) {y}", "do you have {x}"),
        (r"(?:est-ce que )?{x} (?:est|est-il|se trouve|se trouve-t-il) (?:ici|dans (?:la|ta|cette|votre) (?:bibliotheque|collection))", "is {x} in the library"),
        (r"(?:resume|resume-moi|resumer|peux-tu resumer|fais(?:-moi)? un resume (?:de|du)|(?:un )?resume (?:de|du)) {x}", "summarize {x}"),
        (r"(?:montre-moi |y a-t-il |as-tu )?(?:des |les )?(?:{papers} |quelque chose (?:de )?)(?:similaires?|semblables?|proches?|lies|comparables?) (?:a |de |avec |au |du ){x}", "papers similar to {x}"),
        (r"que (?:peux-tu|sais-tu|pouvez-vous|sais tu|peux tu) faire|tu (?:peux|sais) faire quoi|comment (?:ca|cela|tu) (?:marche|fonctionnes?)|qui es-tu|aide-moi|que puis-je (?:te )?demander|aidez-moi|comment (?:t'|)utiliser", "help"),
    ),
)  # fmt: skip
_CHINESE = Language(
    papers=r"(?:论文|文章|文献|papers?)",
    here=r"(?:这里|这儿|库里面|库里|库中|这个库|你这里|你|图书馆(?:里|中)?|数据库(?:里|中)?|文献库(?:里|中)?|里面|目前|现在|一共|总共|共|请问|都)*",
    references=(
        (r"它|这篇(?:论文|文章)|该(?:论文|文章)", "it"),
        (r"关于(.+)的(?:那篇)?(?:论文|文章)", "the paper on {}"),
        (r"(?:论文|文章)(?:叫|名为)?(.+)", "the paper {}"),
        (r"(.+?)(?:这篇|那篇|的)?(?:论文|文章)", "the {} paper"),
    ),
    phrases=(
        (r"{here}有?(?:多少|几)篇?{papers}(?:里|中)?(?:提到|提及|包含|涉及|出现)(?:了|过)?{x}|{here}提到(?:了|过)?{y}的{papers}有(?:多少|几)篇?", "how many papers mention {x}"),
        (r"{here}有?(?:多少|几)篇?(?:关于|有关){x}的{papers}|关于{y}的{papers}有(?:多少|几)篇?", "how many papers on {x}"),
        (r"{here}有?(?:多少|几)篇?{papers}{here}|{here}(?:有|收录了?)(?:多少|几)篇?{papers}|{papers}(?:的)?(?:总数|数量)(?:是多少)?|{here}{papers}有(?:多少|几)篇", "how many papers are here"),
        (r"{here}有?(?:哪些|哪几篇|什么){papers}(?:提到|提及|包含|涉及)(?:了|过)?{x}|列出(?:所有)?提到(?:了|过)?{y}的{papers}", "which papers mention {x}"),
        (r"(?:请|帮我)?(?:列出|显示|给我看|展示|列一下|列举|看看|看一下)(?:一下)?{here}(?:所有|全部|的)*{papers}(?:的)?(?:标题|题目|列表)?|(?:所有|全部)(?:的)?{papers}(?:的)?(?:标题|列表)?|{papers}列表", "list all titles"),
        (r"{here}(?:有|包含|收录了?|是)(?:些)?(?:什么|哪些|啥)(?:内容|{papers}|东西)?|{here}(?:这个|这|这些)?(?:图书馆|库|文献库|{papers})?(?:主要)?(?:是)?(?:关于|讲)(?:了)?什么(?:内容)?(?:的)?", "what's in the library"),
        (r"{here}(?:涵盖|覆盖|包括|有)(?:了)?(?:哪些|什么)(?:主题|话题|领域|方向)(?:的{papers})?", "what topics are covered"),
        (r"(?:关于|在){x}(?:方面)?(?:有什么|有啥|最近有什么)新(?:的)?(?:{papers}|内容|东西|进展)?", "what's new on {x}"),
        (r"{here}(?:最近)?(?:有什么|有啥|有没有)新(?:的)?(?:{papers}|内容|东西|消息)?", "what's new"),
        (r"{here}(?:有哪些|显示|列出)?(?:最新|最近|新)(?:的|到的)?(?:一篇)?{papers}(?:有哪些|是什么|是哪些|是哪篇)?", "newest papers"),
        (r"(?:是)?谁写(?:了|的)?{x}|{y}(?:是)?(?:由)?谁写的|{z}的作者(?:是谁|有哪些|都有谁|是)?", "who wrote {x}"),
        (r"{x}(?:是)?(?:在)?(?:什么时候|何时|哪年|哪一年)(?:发表|出版|发布)的?", "when was {x} published"),
        (r"{x}(?:是)?(?:在)?(?:哪里|哪个会议|什么会议|哪个期刊)(?:发表|出版|发布)?(?:上)?的?", "where was {x} published"),
        (r"{x}的链接", "link to {x}"),
        (r"{here}有?(?:没有)?(?P<x>[^关于]{{1,30}})(?:写|发表|撰写)的{papers}|作者(?:是|为)(?P<y>.{{1,30}})的{papers}|{z}(?:写|发表)(?:了|过)(?:哪些|什么)(?:{papers})?", "papers by {x}"),
        (r"{here}有(?:没有)?{name}(?:(?:这篇|那篇|的)?{papers})?|{here}有(?:没有)?(?P<y>\S[^关于]{{0,40}}(?:这篇|那篇){papers})", "do you have {x}"),
        (r"{name}(?:(?:这篇|那篇){papers})?在(?:这里|库里|库中|图书馆里?|数据库里?)", "is {x} in the library"),
        (r"(?:请|帮我)?(?:总结|概括|概述|归纳)(?:一下)?(?:关于)?{x}", "summarize {x}"),
        (r"(?:有没有|找|推荐)?(?:几篇|一些)?(?:与|和|跟|类似(?:于)?){x}(?:相似|类似|相近|相关)?的{papers}", "papers similar to {x}"),
        (r"你(?:都)?(?:能|会|可以)(?:帮我)?(?:做|干)?(?:些)?(?:什么|啥)|(?:这个)?怎么(?:用|使用)(?:这个|你)?|你是谁|我(?:能|可以)问(?:你)?(?:些)?(?:什么|哪些问题)|帮帮我", "help"),
    ),
)  # fmt: skip
_OTHERS = Language(
    papers=r"(?:articol[io]|artigos?|papers?|artikelen|stat(?:ья|ьи|еи|ей)|論文)",
    here="(?: ?(?:qui|aqui|hier|здесь|nella biblioteca|na biblioteca|in de bibliotheek|в библиотеке))*",
    references=(),
    phrases=(
        (r"quanti {papers} (?:hai|ci sono){here}|quantos {papers} (?:voce tem|tens|existem|ha|tem){here}|hoeveel {papers} (?:heb je|zijn er){here}|сколько (?:у тебя |здесь )?{papers}{here}|{papers}は(?:何本|いくつ)ありますか", "how many papers are here"),
        (r"(?:elenca|mostra|lista|liste|mostre|toon|lijst)(?: (?:tutti|gli|todos|os|alle))* (?:titoli|titulos|titels|{papers}){here}|{papers}の?(?:一覧|リスト)(?:を見せて)?|(?:покажи|список) (?:все |всех )?{papers}", "list all titles"),
        (r"(?:cosa c'e|che cosa c'e|o que (?:ha|tem)|wat is er|что есть|何があります?か?){here}", "what's in the library"),
    ),
)  # fmt: skip
LANGUAGES = {"de": _GERMAN, "es": _SPANISH, "fr": _FRENCH, "zh": _CHINESE, "it, pt, nl, ru, ja": _OTHERS}
_NAME = r"(?P<x>[\"“«„《].{1,120}[\"”»“》]|(?-i:[A-Z0-9])[A-Za-z0-9.:/&'-]*(?: [A-Za-z0-9.:/&'-]+){0,12})"
_END = re.compile(r"(?:[吗嘛呢呀啊?？!！.。]|\b(?:bitte|por favor|s'il te plait|svp|stp))+$", re.IGNORECASE)


def in_english(text: str) -> str | None:
    """Return the English request that a message in another language means, or None.

    Args:
        text: A message without a question mark at its end.
    """
    folded = "".join(unicodedata.normalize("NFD", char)[0] for char in text)
    folded = folded[: len(folded) - len(_end(folded))].rstrip(" ,")
    folded = re.sub(r"^[¿¡ ]+", lambda match: " " * len(match[0]), folded)
    skipped = len(folded) - len(folded.lstrip())
    for phrase, english, language in _phrases():
        if match := phrase.fullmatch(folded, skipped):
            name = next((key for key, value in match.groupdict().items() if value is not None), None)
            if name is None:
                return english
            start, end = match.span(name)
            return english.replace("{x}", _reference(text[start:end].strip(), language))
    return None


def _end(text: str) -> str:
    match = _END.search(text)
    return match[0] if match else ""


def _reference(text: str, language: Language) -> str:
    """Return how a paper is named in English; a text that names none is returned as it is."""
    folded = "".join(unicodedata.normalize("NFD", char)[0] for char in text)
    for pattern, english in language.references:
        if match := re.fullmatch(pattern, folded, re.IGNORECASE):
            inner = text[match.start(1) : match.end(1)] if match.groups() else ""
            return english.format(re.sub(r"[《》]", '"', inner))
    return re.sub(r"[《》]", '"', text)


@cache
def _phrases() -> tuple[tuple[re.Pattern[str], str, Language], ...]:
    return tuple(_compiled())


def _compiled() -> Iterator[tuple[re.Pattern[str], str, Language]]:
    for language in LANGUAGES.values():
        for phrase, english in language.phrases:
            pattern = phrase.replace("{papers}", language.papers).replace("{here}", language.here)
            pattern = pattern.replace("{name}", _NAME).replace("{{", "{").replace("}}", "}")
            for name in "xyzwv":
                pattern = pattern.replace(f"{{{name}}}", f"(?P<{name}>.+?)")
            yield re.compile(pattern, re.IGNORECASE), english, language
