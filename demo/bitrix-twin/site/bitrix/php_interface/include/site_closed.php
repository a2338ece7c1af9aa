<!DOCTYPE html><html lang="ru"><title>Сайт временно закрыт</title><body><h1>Сайт временно закрыт на техническое обслуживание</h1></body></html>
