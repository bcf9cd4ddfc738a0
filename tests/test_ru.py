"""docs/ru answers the two course notebooks whole: each of their sections and tasks, in their order, in Russian.

The notebooks are no part of the repository; the tables below list their headings, and ours where it is another.
"""
import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs/ru"
TEXTS = {path.stem: path.read_text(encoding="utf-8") for path in sorted(FOLDER.glob("*.md"))}

# heading in the notebook, heading of ours ("" where it is the same), whether it asks for something to be done
SIFT = [
    ("Локальные дескрипторы и сверточные нейронные сети", "Локальные дескрипторы (SIFT) и backpropagation", False),
    ("Оглавление", "", False),
    ("1. Setup: подготовка окружения и импорты", "", False),
    ("2. Данные: описание и загрузка изображений", "Данные: описание и загрузка изображений", False),
    ("Результаты извлечения", "Ключевые точки", True),
    ("Интерпретация результатов", "Сопоставление", True),
    ("2. Анализ шагов алгоритма SIFT", "", False),
    ("2.1 Масштабно-пространственная фильтрация (Difference-of-Gaussians)", "", True),
    ("2.2 Выбор экстремумов (поиск ключевых точек)", "", True),
    ("2.3 Назначение ориентаций ключевым точкам", "", True),
    ("2.4 Построение гистограмм градиентов", "", True),
    ("2.5 Нормализация дескрипторов", "", True),
    ("3. Реализация SIFT (псевдокод)", "", False),
    ("3.1 Алгоритм в псевдокоде", "", False),
    ("Шаг 1: Построение гауссовой пирамиды", "", True),
    ("Шаг 2: Вычисление разности гауссианов (DoG)", "", True),
    ("Шаг 3: Поиск локальных экстремумов", "", True),
    ("Шаг 4: Уточнение координат ключевой точки", "", True),
    ("Шаг 5: Фильтрация слабых точек", "", True),
    ("Шаг 6: Назначение ориентации", "", True),
    ("Шаг 7: Построение дескрипторов", "", True),
    ("Шаг 8: Нормализация дескрипторов", "", True),
]
CNN = [
    ("4. Сверточная нейронная сеть: ResNet и затухающие градиенты", "", False),     # the end of the first notebook
    ("Создание датасета", "", True),
    ("Инициализация моделей", "", True),
    ("Обучение моделей", "", False),
    ("Визуализация результатов", "", True),
    ("Анализ результатов", "", False),
    ("Сверточные нейронные сети", "", False),                                       # the second notebook
    ("Цель работы:", "", False),
    ("Пример выполнения типового задания Реализация LeNet-like сети:", "", False),
    ("Классификация изображений с помощью обученной сети", "", True),
    ("Задание 1: Реализация AlexNet-like архитектуры", "", True),
    ("Задание 2: Визуализация Saliency Maps", "", True),
    ("Задание 3: Реализация Residual блока", "", True),
    ("Задание 4: Сравнение MobileNet и CNN", "", True),
    ("Задание 5: Применение Grad-CAM", "", True),
    ("Рекомендации:", "", False),
    ("Критерии оценки:", "", True),
    ("Дополнительные материалы:", "", False),
]
NOTEBOOKS = {"sift": SIFT, "cnn": CNN}
SECTIONS = [(page, ours or theirs, task) for page, rows in NOTEBOOKS.items() for theirs, ours, task in rows]
TASKS = [(page, title) for page, title, task in SECTIONS if task]

# numbered task of the second notebook: how many points it has, and what of our packages its answer must use
POINTS = {
    1: (2, ["AlexNet"]),
    2: (4, ["grad(", "saliency(", "SqueezeNet"]),
    3: (3, ["Bottleneck", "ResNet18", "PlainCNN"]),
    4: (3, ["MobileNet", "parameters", "milliseconds"]),
    5: (3, ["gradcam", "overlay"]),
}

CELL = re.compile(r"^```\{code-cell\} ipython3\n(.*?)^```$", re.M | re.S)
FENCE = re.compile(r"^(```|:::).*?^\1$", re.M | re.S)
ANSWER = re.compile(r"^<details><summary>Ответ[^<]*</summary>\n\n(.*?)^</details>$", re.M | re.S)
HEADING = re.compile(r"^(?:#{1,6} +(.+)|(\*\*[^*]+\*\*))$", re.M)


def plain(title):
    """A heading without its dress: stars, full stops, colons, ё."""
    return re.sub(r"[^\w]+", " ", title.lower().replace("ё", "е")).strip()


def headings(text):
    """(heading without its dress, where it begins) in order; in code a # is no heading."""
    blank = FENCE.sub(lambda fence: re.sub(r"[#*]", " ", fence[0]), text)
    return [(plain(found[1] or found[2]), found.start()) for found in HEADING.finditer(blank)]


def under(page, title):
    """What stands under a heading of the table, down to the next one of the table."""
    listed = {plain(ours or theirs) for theirs, ours, _ in NOTEBOOKS[page]}
    places = [(name, start) for name, start in headings(TEXTS[page]) if name in listed] + [("", len(TEXTS[page]))]
    [text] = [TEXTS[page][start:end] for (name, start), (_, end) in zip(places, places[1:]) if name == plain(title)]
    return text


def cells(text):
    return ["\n".join(line for line in cell.splitlines() if not line.startswith(":")) for cell in CELL.findall(text)]


def prose(text):
    """The text without front matter, fences that hold code or files, formulas, code, addresses and tags."""
    text = re.sub(r"\A---\n.*?^---$", "", text, flags=re.M | re.S)
    text = re.sub(r"^```.*?^```$|^ {4}.*$", "", text, flags=re.M | re.S)
    return re.sub(r"\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)|<[^>]*>", " ", text, flags=re.S)


def test_the_index_leads_to_every_page_in_the_order_of_the_notebooks():
    toctree = re.search(r"```\{toctree\}\n(?::\w+:.*\n)*\n(.*?)```", TEXTS["index"], re.S)[1].split()
    assert toctree == list(NOTEBOOKS) and {*TEXTS} == {"index", *toctree}
    assert re.findall(r"\]\((\w+)\.md\)", TEXTS["index"])[:len(toctree)] == toctree


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_every_section_of_the_notebook_is_there_in_its_order(page):
    found = [title for title, _ in headings(TEXTS[page])]
    wanted = [plain(ours or theirs) for theirs, ours, _ in NOTEBOOKS[page]]
    assert [title for title in wanted if found.count(title) != 1] == []
    assert [title for title in found if title in wanted] == wanted


@pytest.mark.parametrize("page, title", TASKS)
def test_every_task_has_a_hidden_answer_that_was_run(page, title):
    answers = ANSWER.findall(under(page, title))
    assert answers and all(cells(answer) for answer in answers)


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_every_exercise_is_followed_by_its_answer_and_nothing_hidden_is_left_open(page):
    """A heading inside an answer would close it in HTML."""
    text = TEXTS[page]
    exercises = re.split(r"^\*\*Задание\.\*\*", text, flags=re.M)[1:]
    assert exercises and all(re.match(r"(?:(?!\n#|\n\n\n).)*?^<details><summary>Ответ", piece, re.M | re.S)
                             for piece in exercises)
    answers = ANSWER.findall(text)
    assert len(answers) == text.count("<details") == text.count("</details>") == text.count("<summary>")
    assert not [answer for answer in answers if HEADING.search(FENCE.sub("", answer))]


@pytest.mark.parametrize("number", POINTS)
def test_a_numbered_task_is_asked_point_by_point_and_its_answer_uses_what_it_asks_for(number):
    many, needed = POINTS[number]
    [title] = [title for page, title in TASKS if title.startswith(f"Задание {number}:")]
    asked, answer = under("cnn", title).split("<details>", 1)
    assert re.findall(r"^(\d)\. [А-ЯЁ]", asked, re.M) == [str(point) for point in range(1, many + 1)]
    assert [name for name in needed if name not in answer] == []


def test_every_erratum_is_named_where_the_notebook_errs():
    """docs/errata.md counts them; each "В исходном конспекте было" says which of them it is."""
    errata = set(map(int, re.findall(r"^## (\d+)\. ", (ROOT / "docs/errata.md").read_text(encoding="utf-8"), re.M)))
    named = set()
    for numbers in re.findall(r"\(\[errata\]\(\.\./errata\.md\),\s+пункты?\s+([\d,\sи–]+)\)", TEXTS["sift"]):
        for first, last in re.findall(r"(\d+)(?:–(\d+))?", numbers):
            named |= set(range(int(first), int(last or first) + 1))
    assert named == errata and len(errata) == 14
    notes = TEXTS["sift"].count("В исходном конспекте был")
    assert notes >= 7 and TEXTS["cnn"].count("В исходном задании был") >= 6


@pytest.mark.parametrize("page", TEXTS)
def test_pages_are_in_russian(page):
    """Names of nets, files and people stay in Latin letters; a page in English would have a share of nearly 0."""
    letters = re.findall(r"[^\W\d_]", prose(TEXTS[page]))
    cyrillic = sum("а" <= letter.lower() <= "я" or letter.lower() == "ё" for letter in letters)
    assert len(letters) > 300 and cyrillic / len(letters) > 0.85


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_labels_of_the_figures_are_in_russian(page):
    labels = [text for cell in cells(TEXTS[page]) for node in ast.walk(ast.parse(cell)) if isinstance(node, ast.Call)
              for keyword in node.keywords if keyword.arg in ("xlabel", "ylabel") for text in strings(keyword.value)]
    strange = [text for text in labels if re.search("[A-Za-z]{3}", text) and not re.search("[а-я]{3}", text)]
    assert len(labels) > 5 and strange == []


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_every_figure_says_in_russian_what_is_on_it_and_every_note_has_a_russian_title(page):
    """A figure is what a cell ends with: `figure`, or a call of a function of the page that returns one."""
    makers = re.findall(r"^def (\w+)\(.*?\n(?:(?: .*)?\n)*?    return figure$", "\n".join(cells(TEXTS[page])), re.M)
    drawn = re.compile(rf"^(?:figure|(?:{'|'.join(['figure', *makers])})\(.*\))$")
    figures = [cell for cell in CELL.findall(TEXTS[page]) if drawn.match(cell.splitlines()[-1])]
    assert len(figures) > 5
    assert [cell for cell in figures if not re.match(r':mystnb: \{image: \{alt: "[^"]*[а-я][^"]{20,}"', cell)] == []
    titles = re.findall(r"^:::\{(.*)$", TEXTS[page], re.M)
    assert len(titles) > 5 and all(re.search("[а-я]", title) for title in titles)


def strings(node):
    return [part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)]


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_jupytext_reads_a_page_as_the_notebook_that_it_is(page):
    jupytext = pytest.importorskip("jupytext", reason='reading the pages as notebooks needs jupytext: '
                                                      'pip install "siftgrad[docs]"')
    notebook = jupytext.reads(TEXTS[page], fmt="md:myst")
    sources = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    assert notebook.metadata["kernelspec"]["name"] == "python3" and notebook.metadata["file_format"] == "mystnb"
    assert [source.strip() for source in sources] == [cell.strip() for cell in cells(TEXTS[page])]
    assert len(sources) > 20


@pytest.mark.parametrize("page", NOTEBOOKS)
def test_no_cell_asks_for_what_a_reader_may_not_have(page):
    """No network, no installation, no folder of a machine: photographs, weights and results lie in the repository."""
    code = "\n".join(cells(TEXTS[page]))
    assert re.findall(r"https?://|urllib|requests|pip install|!\w|/home|/tmp|/work|\.imagenet\([^)]", code) == []
    asked = {module for node in ast.walk(ast.parse(code)) if isinstance(node, (ast.Import, ast.ImportFrom))
             for module in ([node.module] if isinstance(node, ast.ImportFrom) else [name.name for name in node.names])}
    known = {"numpy", "torch", "matplotlib", "IPython", "pysift", "diffsift", "cnn", "benchmarks", "docs",
             "json", "sys", "pathlib"}
    assert {module.partition(".")[0] for module in asked} <= known
