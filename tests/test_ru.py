"""The Russian pages keep the headings and tasks of the notebooks, in order; every task has an answer that runs."""
import re
from pathlib import Path

import jupytext
import pytest

FOLDER = Path(__file__).resolve().parent.parent / "docs/ru"
ANSWER = re.compile(r"<details><summary>Ответ[^<]*</summary>\n(.*?)\n</details>", re.S)

# heading of a notebook → that of our page
SIFT = [
    ("1. Setup: подготовка окружения и импорты", "1. Setup: подготовка окружения и импорты"),
    ("2. Данные: описание и загрузка изображений", "Данные: описание и загрузка изображений"),
    ("2. Анализ шагов алгоритма SIFT", "2. Анализ шагов алгоритма SIFT"),
    ("2.1 Масштабно-пространственная фильтрация (Difference-of-Gaussians)",
     "2.1 Масштабно-пространственная фильтрация (Difference-of-Gaussians)"),
    ("2.2 Выбор экстремумов (поиск ключевых точек)", "2.2 Выбор экстремумов (поиск ключевых точек)"),
    ("2.3 Назначение ориентаций ключевым точкам", "2.3 Назначение ориентаций ключевым точкам"),
    ("2.4 Построение гистограмм градиентов", "2.4 Построение гистограмм градиентов"),
    ("2.5 Нормализация дескрипторов", "2.5 Нормализация дескрипторов"),
    ("3. Реализация SIFT (псевдокод)", "3. Реализация SIFT (псевдокод)"),
    ("3.1 Алгоритм в псевдокоде", "3.1 Алгоритм в псевдокоде"),
    ("Шаг 1: Построение гауссовой пирамиды", "Шаг 1: Построение гауссовой пирамиды"),
    ("Шаг 2: Вычисление разности гауссианов (DoG)", "Шаг 2: Вычисление разности гауссианов (DoG)"),
    ("Шаг 3: Поиск локальных экстремумов", "Шаг 3: Поиск локальных экстремумов"),
    ("Шаг 4: Уточнение координат ключевой точки", "Шаг 4: Уточнение координат ключевой точки"),
    ("Шаг 5: Фильтрация слабых точек", "Шаг 5: Фильтрация слабых точек"),
    ("Шаг 6: Назначение ориентации", "Шаг 6: Назначение ориентации"),
    ("Шаг 7: Построение дескрипторов", "Шаг 7: Построение дескрипторов"),
    ("Шаг 8: Нормализация дескрипторов", "Шаг 8: Нормализация дескрипторов"),
]
CNN = [
    ("4. Сверточная нейронная сеть: ResNet и затухающие градиенты",
     "4. Сверточная нейронная сеть: ResNet и затухающие градиенты"),
    ("# Создание датасета", "Создание датасета"),
    ("# Инициализация моделей", "Инициализация моделей"),
    ("# Обучение моделей", "Обучение моделей"),
    ("# Визуализация результатов", "Визуализация результатов"),
    ("# Анализ результатов", "Анализ результатов"),
    ("Сверточные нейронные сети", "Сверточные нейронные сети"),
    ("Цель работы:", "Цель работы"),
    ("Пример выполнения типового задания Реализация LeNet-like сети:",
     "Пример выполнения типового задания. Реализация LeNet-like сети"),
    ("Классификация изображений с помощью обученной сети", "Классификация изображений с помощью обученной сети"),
    ("Задание 1: Реализация AlexNet-like архитектуры", "Задание 1: Реализация AlexNet-like архитектуры"),
    ("Задание 2: Визуализация Saliency Maps", "Задание 2: Визуализация Saliency Maps"),
    ("Задание 3: Реализация Residual блока", "Задание 3: Реализация Residual блока"),
    ("Задание 4: Сравнение MobileNet и CNN", "Задание 4: Сравнение MobileNet и CNN"),
    ("Задание 5: Применение Grad-CAM", "Задание 5: Применение Grad-CAM"),
    ("Рекомендации:", "Рекомендации"),
    ("Критерии оценки:", "Критерии оценки"),
    ("Дополнительные материалы:", "Дополнительные материалы"),
]
PAGES = {"sift": SIFT, "cnn": CNN}


def text(name):
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def notebook(name):
    return jupytext.read(FOLDER / f"{name}.md")


def prose(name):
    """What a page says in words: without front matter, cells, formulas, code and addresses."""
    said = re.sub(r"\A---\n.*?\n---\n", "", text(name), flags=re.S)
    said = re.sub(r"^```.*?^```$|\$\$.*?\$\$|\$[^$]*\$|`[^`]*`|\]\([^)]*\)|<[^>]*>", "", said, flags=re.M | re.S)
    return said


@pytest.mark.parametrize("name", PAGES)
def test_the_headings_of_the_notebook_are_there_in_its_order(name):
    lines = re.findall(r"^(?:#{1,4} .*|\*\*Шаг \d.*\*\*)$", prose(name), re.M)
    headings = [re.sub(r"^#+ |\*", "", line) for line in lines]
    places = [headings.index(ours) for _, ours in PAGES[name]]             # a ValueError names the one that is missing
    assert places == sorted(places)


@pytest.mark.parametrize("name", PAGES)
def test_every_task_has_a_hidden_answer_with_a_cell(name):
    """A task starts with its heading or with **Задание.**; its answer comes before the next task or heading."""
    begins = re.compile(r"^(?:#{2,4} |\*\*Задание\b)", re.M)
    places = [match.start() for match in begins.finditer(text(name))] + [len(text(name))]
    pieces = [text(name)[a:b] for a, b in zip(places, places[1:])]
    tasks = [piece for piece in pieces if re.match(r"#+ Задание|\*\*Задание", piece)]
    assert len(tasks) >= 5
    for task in tasks:
        answer = ANSWER.search(task)
        assert answer, f"no answer to {task[:60]!r}"
        assert "```{code-cell}" in answer[1], f"nothing runs in the answer to {task[:60]!r}"


@pytest.mark.parametrize("name", [*PAGES, "index"])
def test_the_words_are_russian(name):
    letters = re.findall(r"[^\W\d_]", prose(name))
    russian = [letter for letter in letters if re.match("[а-яё]", letter, re.I)]
    assert len(russian) > 0.75 * len(letters)


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_a_notebook_and_its_cells_are_python(name):
    cells = [cell for cell in notebook(name).cells if cell.cell_type == "code"]
    assert len(cells) == len(re.findall(r"^```\{code-cell\}", text(name), re.M)) > 10
    for number, cell in enumerate(cells):
        compile(cell.source, f"{name}.md, cell {number}", "exec")


def test_the_index_lists_both_pages():
    listed = re.search(r"```\{toctree\}\n(?::\w+:\n)*\n(.*?)```", text("index"), re.S)[1].split()
    assert listed == list(PAGES)
